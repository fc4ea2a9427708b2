/** Errors of state on disk and of sessions. */
export const STATE_ERRORS = {
  DUR_STATE_LOCKED: { message: "another gateway{holder} owns '{dir}'", hint: 'Stop it with `durar gateway stop`, or use another --profile.' },
  DUR_STATE_UNWRITABLE: { message: "cannot write to '{dir}': {reason}", hint: 'Check its owner, its permissions and the free space.' },
  DUR_STATE_UNREADABLE: { message: "cannot read '{file}': {reason}", hint: 'Check its owner and its permissions.' },
  DUR_STATE_CORRUPT: { message: "'{file}' is damaged: {reason}", hint: 'A copy was kept beside it; restore it from a backup if something is missing.' },
  DUR_STATE_NEWER: { message: "'{file}' was written by a newer Durar", hint: 'Update Durar, or use another --profile.' },
  DUR_SESSION_UNKNOWN: { message: "there is no session '{key}'", hint: 'Run `durar sessions list` to see them.' },
  DUR_SESSION_KEY: { message: "'{key}' is not a session key", hint: 'Use agent:<agentId>:<name>, or main.' },
  DUR_SESSION_BUSY: { message: "the session '{key}' is still at work", hint: 'Try again in a moment.', retry: true },
  DUR_SESSION_ENTRY_ID: {
    message: "the session '{session}' already holds the entry id '{id}'",
    hint: 'Give each new entry an id of its own; nothing was written.',
  },
  DUR_SESSION_REWRITE: {
    message: "the entries of session '{session}' cannot be replaced: {reason}",
    hint: 'Replace messages of this session by others of the same role, each tool call and its result under the same id.',
  },
  DUR_SESSION_TRANSCRIPT: { message: "the transcript '{file}' cannot be used: {reason}", hint: 'A copy was kept beside it; run `durar doctor`.' },
} as const;
