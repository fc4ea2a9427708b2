import type { InboundMedia } from 'Durar/plugin-sdk/core';
import { basename } from 'node:path';

/** A file of a message, as far as it is read. */
export interface SlackFile {
  id?: string;
  name?: string;
  mimetype?: string;
  size?: number;
  /** `external`: it lies with another service; `tombstone`: it was deleted; `hidden_by_limit`: the workspace is full. */
  mode?: string;
  /** `check_file_info`: of another workspace; its details must be asked for. */
  file_access?: string;
  url_private?: string;
  url_private_download?: string;
  external_url?: string;
}

const GONE = new Set(['tombstone', 'hidden_by_limit']);

/** The files that Slack hands out. */
export function mediaOf(files: readonly SlackFile[]): SlackFile[] {
  return files.filter(({ mode = '' }) => mode !== 'external' && !GONE.has(mode));
}

/** Files that lie elsewhere are told of, never fetched. */
export function describeFiles(files: readonly SlackFile[]): string {
  const elsewhere = files.filter(({ mode }) => mode === 'external');
  return elsewhere.map(({ name = 'file', external_url, url_private }) => `[file: ${name} ${external_url ?? url_private ?? ''}]`.replace(' ]', ']')).join('\n');
}

export function factsOfFile({ name, mimetype, size }: SlackFile): Omit<InboundMedia, 'load'> {
  const [kind] = (mimetype ?? '').split('/');
  return {
    kind: kind === 'image' || kind === 'audio' || kind === 'video' ? kind : 'file',
    ...(mimetype === undefined ? {} : { mimeType: mimetype }),
    ...(name === undefined ? {} : { fileName: basename(name) }),
    ...(size === undefined ? {} : { size }),
  };
}
