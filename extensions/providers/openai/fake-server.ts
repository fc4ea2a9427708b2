import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A request as the server saw it. */
export interface Seen {
  method: string;
  path: string;
  headers: IncomingHttpHeaders;
  body: Record<string, unknown>;
}

/** What it answers: server-sent events, a JSON body with a status, or whatever a function writes. */
export type Answer =
  | { events: readonly unknown[]; done?: boolean; cut?: boolean; hang?: boolean }
  | { status: number; json: unknown; headers?: Record<string, string> }
  | ((response: ServerResponse) => void);

export interface FakeServer {
  url: string;
  seen: Seen[];
  /** Answers of the next requests; the last one stays. */
  answer(...answers: Answer[]): void;
  close(): Promise<void>;
}

/** Bytes of each write: no event, line or character ends where a write does. */
const SLICE = 7;

/** For tests: speaks the wire format of OpenAI's streams over real HTTP. */
export async function startFakeServer(): Promise<FakeServer> {
  const seen: Seen[] = [];
  let answers: Answer[] = [];
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const text = Buffer.concat(chunks).toString();
    seen.push({
      method: request.method ?? '',
      path: request.url ?? '',
      headers: request.headers,
      body: text === '' ? {} : (JSON.parse(text) as Record<string, unknown>),
    });
    const answer = answers.length > 1 ? answers.shift() : answers[0];
    if (answer === undefined) response.writeHead(500).end('no answer was prepared');
    else if (typeof answer === 'function') answer(response);
    else if ('json' in answer) response.writeHead(answer.status, { 'content-type': 'application/json', ...answer.headers }).end(JSON.stringify(answer.json));
    else await writeEvents(response, answer);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`,
    seen,
    answer(...next) {
      answers = next;
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function writeEvents(
  response: ServerResponse,
  { events, done = true, cut = false, hang = false }: Extract<Answer, { events: readonly unknown[] }>,
): Promise<void> {
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  const body = events.map((event) => {
    const { type } = event as { type?: string };
    return `${type === undefined ? '' : `event: ${type}\n`}data: ${JSON.stringify(event)}\n\n`;
  });
  const bytes = Buffer.from(`: a comment\n\n${body.join('')}${done && !hang && !cut ? 'data: [DONE]\n\n' : ''}`);
  for (let at = 0; at < bytes.length; at += SLICE) {
    response.write(bytes.subarray(at, at + SLICE));
    if (at % (SLICE * 20) === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  if (cut) setTimeout(() => response.destroy(), 20);
  else if (!hang) response.end();
}
