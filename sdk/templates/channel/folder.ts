import { randomUUID } from 'node:crypto';
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { setInterval } from 'node:timers/promises';

const POLL_MS = 200;

/**
 * Hands over each `*.txt` of `<folder>/in`, oldest name first, and removes it when `take` has resolved: a message whose delivery fails is
 * still there at the next start. Ends with the signal.
 */
export async function receive(folder: string, signal: AbortSignal, take: (message: { name: string; text: string }) => Promise<void>): Promise<void> {
  const inbox = join(folder, 'in');
  await mkdir(inbox, { recursive: true });
  try {
    for await (const _ of setInterval(POLL_MS, undefined, { signal })) {
      for (const name of (await readdir(inbox)).filter((each) => each.endsWith('.txt')).sort()) {
        const file = join(inbox, name);
        await take({ name: basename(name, '.txt'), text: await readFile(file, 'utf8') });
        await rm(file);
      }
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}

/** Writes a reply to `<folder>/out`; it appears under its name only when it is complete. Returns the name. */
export async function send(folder: string, to: string, text: string): Promise<string> {
  const outbox = join(folder, 'out');
  await mkdir(outbox, { recursive: true });
  const name = `${basename(to)}-${randomUUID()}.txt`;
  await writeFile(join(outbox, `.${name}`), text);
  await rename(join(outbox, `.${name}`), join(outbox, name));
  return name;
}
