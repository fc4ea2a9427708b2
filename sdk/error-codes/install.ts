/** Errors of `durar plugins install|update|uninstall|verify`. */
export const INSTALL_ERRORS = {
  DUR_INSTALL_SPEC: { message: "'{spec}' cannot be installed: {reason}", hint: 'Use a name with an exact version or a dist-tag, a folder, or a .tgz file.' },
  DUR_INSTALL_NOT_FOUND: { message: "the registry has no package '{spec}'", hint: 'Check the name and the version.' },
  DUR_INSTALL_PRERELEASE: { message: "'{spec}' resolves to the prerelease {version}", hint: 'Name it on purpose: an exact version, @beta or @rc.' },
  DUR_INSTALL_NPM: { message: 'npm failed: {reason}', hint: 'Nothing was changed. Run the command again with --verbose to see its output.', retry: true },
  DUR_INSTALL_ARCHIVE: { message: "the archive '{file}' cannot be used: {reason}", hint: 'Pack it with `npm pack` and try again.' },
  DUR_INSTALL_SPACE: { message: "no space left while installing '{spec}'", hint: 'Free some space; nothing was changed.' },
  DUR_INSTALL_LOCKED: { message: 'another install is running (process {pid})', hint: 'Wait for it to end and try again.', retry: true },
  DUR_INSTALL_VERIFY: {
    message: "'{id}' did not pass verification: {reason}",
    hint: 'Run `durar plugins verify <folder>` for the whole report; nothing was changed.',
  },
  DUR_VERIFY_FAULT: {
    message: "'{engine}' does not stand the fault '{fault}': {reason}",
    hint: 'See the section on faults in the guide to writing extensions.',
  },
  DUR_INSTALL_BUNDLED: { message: "'{id}' is part of Durar and cannot be {action}", hint: 'Switch it off with `durar plugins disable {id}`.' },
  DUR_INSTALL_NOT_INSTALLED: { message: "'{id}' is not installed", hint: 'Run `durar plugins list` to see what is.' },
  DUR_INSTALL_INTEGRITY: {
    message: "the content of '{spec}' changed: expected {expected}, got {actual}",
    hint: 'Check the source, then accept it with --yes.',
  },
  DUR_INSTALL_EXISTS: { message: "'{id}' is already installed from {source}", hint: 'Run `durar plugins update {id}` or uninstall it first.' },
  DUR_INSTALL_REFUSED: { message: "the gateway refused '{id}': {reason}", hint: 'Nothing was changed; the old version keeps running.' },
} as const;
