import { createReadStream, createWriteStream } from 'node:fs';
import { mkdir, rm, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { errorCode } from '../../../sdk/index.ts';

/** A transcript as it was at some time: it only grows at its end. */
export interface TranscriptState {
  file: string;
  /** bytes */
  size: number;
}

/** undefined where the session store keeps no file. */
export async function transcriptState(file: string | undefined): Promise<TranscriptState | undefined> {
  if (file === undefined) return undefined;
  try {
    return { file, size: (await stat(file)).size };
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}

/** Copies for an engine that gets a turn later and must not touch the transcript itself: always the same path for a session. */
export interface TranscriptCopies {
  /** The transcript as it was then. */
  make(state: TranscriptState | undefined): Promise<{ sessionFile?: string }>;
  remove(state: TranscriptState | undefined): Promise<void>;
}

export function createTranscriptCopies(dir: string): TranscriptCopies {
  const copyOf = ({ file }: TranscriptState) => join(dir, basename(file));
  return {
    async make(state) {
      if (state === undefined || state.size === 0) return {};
      const copy = copyOf(state);
      await mkdir(dir, { recursive: true, mode: 0o700 });
      await pipeline(createReadStream(state.file, { end: state.size - 1 }), createWriteStream(copy, { mode: 0o600 }));
      return { sessionFile: copy };
    },
    async remove(state) {
      if (state !== undefined) await rm(copyOf(state), { force: true });
    },
  };
}
