import { errorCode, type PluginLogger } from 'Durar/plugin-sdk/core';
import { closeSync, type Dirent, openSync, readdirSync, readSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { parseLine } from './entry-line.ts';
import type { IndexRow } from './session-index.ts';

const HEADER_BYTES = 64 * 1024;
const SUFFIX = '.jsonl';

/**
 * The rows of an index that was lost, from the headers of the transcripts, newest first (so that the newest of several transcripts of
 * one key gets it). A transcript that does not know its key gets one made of its session id.
 */
export function findTranscripts(agentsDir: string, log: PluginLogger): IndexRow[] {
  const rows: IndexRow[] = [];
  for (const agent of entriesOf(agentsDir)) {
    if (!agent.isDirectory()) continue;
    const dir = join(agentsDir, agent.name, 'sessions');
    for (const file of entriesOf(dir)) if (file.isFile() && file.name.endsWith(SUFFIX)) rows.push(rowOf(join(dir, file.name), agent.name));
  }
  if (rows.length > 0) log.info('transcripts without an index were found', { count: rows.length, dir: agentsDir });
  return rows.sort((left, right) => right.session.updatedAt - left.session.updatedAt);
}

function rowOf(file: string, agentId: string): IndexRow {
  const sessionId = basename(file, SUFFIX);
  const content = parseLine(firstLine(file));
  const header = content.kind === 'header' ? content.header : undefined;
  const updatedAt = Math.floor(statSync(file).mtimeMs);
  return {
    session: {
      key: typeof header?.key === 'string' ? header.key : `agent:${agentId}:${sessionId.toLowerCase()}`,
      sessionId,
      agentId,
      createdAt: Date.parse(header?.timestamp ?? '') || updatedAt,
      updatedAt,
    },
    cwd: typeof header?.cwd === 'string' ? header.cwd : process.cwd(),
    seq: 0,
  };
}

function firstLine(file: string): Buffer {
  const fd = openSync(file, 'r');
  try {
    const bytes = Buffer.alloc(HEADER_BYTES);
    const length = readSync(fd, bytes, 0, HEADER_BYTES, 0);
    const end = bytes.subarray(0, length).indexOf('\n');
    return bytes.subarray(0, end === -1 ? length : end);
  } finally {
    closeSync(fd);
  }
}

function entriesOf(dir: string): Dirent[] {
  try {
    return readdirSync(dir, { withFileTypes: true });
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return [];
    throw error;
  }
}
