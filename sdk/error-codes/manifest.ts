/** Errors found while reading manifests, before any extension code runs. */
export const MANIFEST_ERRORS = {
  DUR_MANIFEST_MISSING: { message: "no manifest in '{root}'", hint: 'Add Durar.plugin.json with at least "id" and "configSchema".' },
  DUR_MANIFEST_SYNTAX: { message: "the manifest '{file}' is not JSON: {reason}", hint: 'Fix the file; `durar plugins verify <folder>` checks it again.' },
  DUR_MANIFEST_INVALID: { message: "the manifest '{file}' is invalid: {reason}", hint: 'Correct the field; `durar plugins verify <folder>` checks it again.' },
  DUR_MANIFEST_KIND_UNKNOWN: {
    message: "the manifest '{file}' has the unknown kind '{kind}'",
    hint: 'Use "context-engine", "memory" or "session-store", or leave kind out.',
  },
  DUR_MANIFEST_KEY_UNKNOWN: { message: "the manifest '{file}' has the unknown key '{key}', which is ignored", hint: 'Check its spelling, or remove it.' },
  DUR_MANIFEST_RESERVED: { message: "'{id}' is reserved for a bundled extension and '{root}' claims it", hint: 'Choose another id.' },
  DUR_MANIFEST_DUPLICATE: {
    message: "the extension id '{id}' exists in '{root}' and in '{other}'; the second is not used",
    hint: 'Remove one of the two, or rename it.',
  },
  DUR_MANIFEST_ENTRY_MISSING: { message: "the entry '{entry}' of '{id}' does not exist", hint: 'Build the extension, or correct the entry in its manifest.' },
  DUR_MANIFEST_SOURCE_ESCAPES_ROOT: {
    message: "the entry '{entry}' of '{id}' lies outside its folder",
    hint: 'Move the file into the extension folder; links that lead out are refused.',
  },
  DUR_MANIFEST_PATH_STAT_FAILED: { message: "cannot examine '{path}': {reason}", hint: 'Check the permissions of the folder.' },
  DUR_MANIFEST_WORLD_WRITABLE: { message: "'{path}' can be written by everyone", hint: 'Run `chmod o-w` on it, then `durar doctor`.' },
  DUR_MANIFEST_OWNERSHIP: { message: "'{path}' belongs to the user {uid}, neither you nor root", hint: 'Change its owner, or install the extension again.' },
  DUR_MANIFEST_HOST_TOO_OLD: { message: "'{id}' needs Durar {wanted}; this is {host}", hint: 'Update Durar, or install an older version of the extension.' },
  DUR_MANIFEST_HOST_TOO_NEW: { message: "'{id}' supports Durar {wanted}; this is {host}", hint: 'Update the extension with `durar plugins update {id}`.' },
  DUR_MANIFEST_HOST_RANGE: {
    message: "'{id}' states the host range '{wanted}', which is not a version range",
    hint: 'Write a semver range such as ">=0.1.0".',
  },
  DUR_MANIFEST_CONFIG_INVALID: {
    message: '{block}{pointer} {reason}',
    hint: 'Correct it with `durar config set {block}... <value>`; `durar plugins inspect {id}` shows the schema.',
  },
  DUR_MANIFEST_SCHEMA_INVALID: { message: "the {key} of '{id}' is not a valid JSON Schema: {reason}", hint: 'Correct {key} in the manifest.' },
} as const;
