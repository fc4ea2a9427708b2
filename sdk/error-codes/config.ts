/** Errors of the configuration file and its environment. */
export const CONFIG_ERRORS = {
  DUR_CONFIG_SYNTAX: {
    message: "cannot parse '{file}' at line {line}, column {column}: {reason}",
    hint: 'Fix the file at that place; `durar config validate` checks it again.',
  },
  DUR_CONFIG_UNREADABLE: { message: "cannot read '{file}': {reason}", hint: 'Check that the file exists and that you own it.' },
  DUR_CONFIG_UNKNOWN_KEY: { message: "unknown key '{path}' in the configuration", hint: 'Remove it, or run `durar config schema` to see the keys.' },
  DUR_CONFIG_INVALID: { message: "'{path}' {reason}", hint: 'Run `durar config schema` to see what is allowed there.' },
  DUR_CONFIG_PLUGIN_UNKNOWN: {
    message: "'{path}' names the extension '{id}', which is not installed",
    hint: 'Install it with `durar plugins install <spec>`, or remove the entry with `durar config unset {path}`.',
  },
  DUR_CONFIG_CHANNEL_UNKNOWN: {
    message: "'{path}' configures the channel '{id}', which no installed extension owns",
    hint: 'Install the extension of that channel, or run `durar config unset {path}`.',
  },
  DUR_CONFIG_INCLUDE: {
    message: "$include of '{target}' failed: {reason}",
    hint: 'Check the path; it is relative to the including file and must stay in its folder.',
  },
  DUR_CONFIG_ENV_MISSING: {
    message: "'{path}' refers to the environment variable '{name}', which is not set",
    hint: 'Set {name} before the start, or write $${{name}} for a literal text.',
  },
  DUR_CONFIG_REDACTED: { message: "'{path}' holds the redaction marker, not a value", hint: 'Leave the key out to keep its present value.' },
  DUR_CONFIG_CHANGED: { message: 'the configuration changed since it was read', hint: 'Read it again and repeat the edit.', retry: true },
  DUR_CONFIG_PATH: { message: "'{path}' is not a path of the configuration: {reason}", hint: 'Use dots and [n], for example agents.list[0].id.' },
  DUR_CONFIG_PROFILE: { message: "'{name}' is not a profile name", hint: 'Use letters, digits, - and _ (at most 64, the first a letter or digit).' },
  DUR_CONFIG_SHELL_ENV: {
    message: "cannot read the environment of the login shell '{shell}': {reason}",
    hint: 'Turn env.shellEnv.enabled off, or fix the start-up files of that shell.',
  },
  DUR_CONFIG_REFUSED: { message: 'the edit would leave {count} errors, the first: {first}', hint: 'Nothing was changed; correct the edit and repeat it.' },
  DUR_CONFIG_WRITE: { message: "cannot write '{file}': {reason}", hint: 'Nothing was changed; check free space and permissions.' },
} as const;
