/** Errors of the stored credentials of model providers. */
export const AUTH_ERRORS = {
  DUR_AUTH_STORE: { message: "the stored credentials '{file}' cannot be used: {reason}", hint: 'Correct the file at that place, or remove the profile.' },
  DUR_AUTH_STORE_WRITE: { message: "cannot write '{file}': {reason}", hint: 'Nothing was changed; check free space and permissions.' },
  DUR_AUTH_PROFILE_UNKNOWN: { message: "there is no profile '{id}'{where}", hint: 'Run `durar models auth list` to see those that are stored.' },
  DUR_AUTH_PROFILE_UNUSABLE: {
    message: "the profile '{id}' cannot be used for '{provider}': {reason}",
    hint: 'Renew it with `durar models auth add` or `paste-token`, or choose the model without @{id}.',
  },
  DUR_AUTH_INPUT: { message: 'no {what} was given', hint: 'Type it when asked, or pass it on standard input; it is never an argument.' },
} as const;
