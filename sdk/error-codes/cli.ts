/** Errors of the command line itself. */
export const CLI_ERRORS = {
  DUR_CLI_USAGE: { message: '{reason}', hint: 'Run the command with --help.' },
  DUR_CLI_NODE: { message: 'Durar needs Node {wanted}; this is {found}', hint: 'Install a newer Node; inside a checkout, run `npm ci` first.' },
  DUR_CLI_NOT_TTY: { message: '{reason}', hint: 'Give the answer as an option, or run it in a terminal.' },
  DUR_CLI_CANCELLED: { message: 'ended before the last question', hint: 'The configuration is as it was; run it again.' },
  DUR_CLI_CREDENTIALS: { message: '--url needs --token or --password', hint: 'Stored credentials are never sent to another address.' },
  DUR_LOGS_UNREACHABLE: {
    message: 'the log cannot be asked for: {reason}',
    hint: 'Start a gateway with `durar gateway run`, or run `durar doctor` to see why none answers.',
    retry: true,
  },
} as const;
