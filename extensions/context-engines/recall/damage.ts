import { DurarError, errorCode, errorText } from 'Durar/plugin-sdk/core';

const SQLITE_CORRUPT = 11;
const SQLITE_NOTADB = 26;

/** What node:sqlite threw, under a code of this extension. Anything else is given back as it is. */
export function storeError(file: string, error: unknown): unknown {
  const extras = { owner: { extension: 'recall', file }, cause: error };
  if (errorCode(error) === 'ERR_INVALID_STATE') {
    return new DurarError('RECALL_CLOSED', 'the recall engine was disposed', { ...extras, hint: 'Try again; the next turn uses its successor.', retry: true });
  }
  const isOfDisk = error instanceof Error && 'syscall' in error;
  if (errorCode(error) !== 'ERR_SQLITE_ERROR' && !isOfDisk) return error;
  const code = error instanceof Error && 'errcode' in error ? Number(error.errcode) & 0xff : 0;
  if (code === SQLITE_CORRUPT || code === SQLITE_NOTADB) {
    return new DurarError('RECALL_DAMAGED', `the recall database '${file}' is damaged: ${errorText(error)}`, {
      ...extras,
      hint: 'Try again: the damaged file is moved aside, and histories are taken in anew from the transcripts.',
      retry: true,
    });
  }
  return new DurarError('RECALL_UNWRITABLE', `the recall database '${file}' cannot be used: ${errorText(error)}`, {
    ...extras,
    hint: 'Check the disk space and the permissions of that folder.',
    retry: true,
  });
}

export function isDamage(error: unknown): boolean {
  return errorCode(error) === 'RECALL_DAMAGED';
}

export function newerStore(file: string): DurarError {
  return new DurarError('RECALL_NEWER', `the recall database '${file}' was written by a newer version`, {
    owner: { extension: 'recall', file },
    hint: 'Update Durar, or move the file away to begin anew from the transcripts.',
  });
}
