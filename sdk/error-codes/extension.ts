/** Errors of extension code: import, register, factory, hook and port calls. */
export const EXTENSION_ERRORS = {
  DUR_EXT_IMPORT_FAILED: { message: "the entry of '{id}' cannot be imported: {reason}", hint: 'Run `durar plugins verify {root}` for the full trace.' },
  DUR_EXT_IMPORT_TIMEOUT: { message: "the import of '{id}' did not end within {ms} ms", hint: 'Move slow work from the top level into register or a service.' },
  DUR_EXT_MODULE_MISSING: {
    message: "'{id}' imports '{specifier}', which neither it nor the host has",
    hint: 'Add it to the dependencies of the extension and install it again.',
  },
  DUR_EXT_ENTRY_INVALID: { message: "'{id}' has no usable default export", hint: 'Export definePluginEntry({...}) or a register function as default.' },
  DUR_EXT_ID_MISMATCH: { message: "the manifest says '{id}' and the entry says '{other}'", hint: 'Use one id in both places.' },
  DUR_EXT_REGISTER_FAILED: { message: "register of '{id}' failed: {reason}", hint: 'Fix the extension or disable it with `durar plugins disable {id}`.' },
  DUR_EXT_REGISTER_TIMEOUT: { message: "register of '{id}' did not end within {ms} ms", hint: 'Do slow work in a service; register only describes.' },
  DUR_EXT_REGISTER_CLOSED: { message: "'{id}' called api.{method} after register had ended", hint: 'Register everything before register returns.' },
  DUR_EXT_UNDECLARED: {
    message: "'{id}' registers the {kind} '{key}', which its manifest does not declare",
    hint: 'Add "{key}" to "{manifestKey}" in Durar.plugin.json.',
  },
  DUR_EXT_DUPLICATE: {
    message: "the {kind} '{key}' of '{id}' is already provided by '{other}'",
    hint: 'Disable one of the two with `durar plugins disable <id>`.',
  },
  DUR_EXT_TWICE: { message: "'{id}' registers the {kind} '{key}' twice", hint: 'Register each contribution once.' },
  DUR_EXT_RESERVED: { message: "'{id}' may not claim the {kind} '{key}', which belongs to the host", hint: 'Choose another id.' },
  DUR_EXT_SHAPE: { message: "the {kind} '{key}' of '{id}' has the wrong shape: {reason}", hint: 'Compare it with the type in Durar/plugin-sdk/core.' },
  DUR_EXT_NOT_AVAILABLE: {
    message: "'{member}' is not available in this version of Durar",
    hint: 'The extension can work without it, or wait for a version that offers it.',
  },
  DUR_EXT_CRASHED: {
    message: "'{id}' threw outside any call: {reason}",
    hint: 'It is switched off until it is fixed and reloaded; `durar plugins inspect {id}` shows the trace.',
  },
  DUR_EXT_FACTORY_FAILED: { message: "the factory of the {kind} '{key}' failed: {reason}", hint: 'Fix the extension, or choose another in plugins.slots.' },
  DUR_HOOK_FAILED: { message: "'{id}' failed in {hook}: {reason}", hint: 'See the log for the trace; disable the extension if it goes on.' },
  DUR_HOOK_TIMEOUT: { message: "'{id}' did not answer {hook} within {ms} ms", hint: 'Disable the extension or raise its timeout.' },
  DUR_HOOK_RESULT: { message: "'{id}' returned an unusable result from {hook}: {reason}", hint: 'Compare it with the result type of the hook.' },
  DUR_HOOK_UNKNOWN: { message: "'{id}' taps the unknown hook '{hook}'", hint: 'The known hooks are listed in docs/reference/hooks.md.' },
  DUR_SLOT_UNKNOWN: {
    message: "plugins.slots.{slot} is '{key}', and no installed extension offers it",
    hint: 'Install it, or run `durar config unset plugins.slots.{slot}`.',
  },
  DUR_SLOT_DISABLED: {
    message: "plugins.slots.{slot} is '{key}', whose extension '{id}' is off ({reason})",
    hint: 'Run `durar plugins enable {id}`, or choose another with `durar config set plugins.slots.{slot} <id>`.',
  },
  DUR_SLOT_ENGINE_ID: {
    message: "plugins.slots.{slot} is the extension '{key}', whose registered id is '{other}'",
    hint: 'Run `durar config set plugins.slots.{slot} {other}`.',
  },
  DUR_SLOT_FAILED: {
    message: "plugins.slots.{slot} is '{key}', which failed: {reason}",
    hint: 'Fix the extension, or run `durar config set plugins.slots.{slot} {fallback}`.',
  },
  DUR_SLOT_SHADOW: {
    message: "plugins.slots.{slot} is '{key}', which is the active engine; there is nothing to compare it with",
    hint: 'Name another engine, or run `durar config unset plugins.slots.{slot}`.',
  },
  DUR_SLOT_EMPTY: {
    message: "nothing serves plugins.slots.{slot}; '{key}' is not installed",
    hint: 'Restore the bundled extensions, or install one and select it.',
  },
  DUR_HOST_FAILED: { message: '{reasons}', hint: 'Correct each of them; what ran before goes on.' },
  DUR_HOST_STARTING: { message: "the host is starting and has no '{room}' yet", hint: 'Use it in a service, a hook or a tool, not in register.', retry: true },
  DUR_HOST_STOPPED: { message: 'the host is stopping', hint: 'Try again when it is up.', retry: true },
  DUR_HOST_BUSY: { message: 'a change of the running generation is already under way', hint: 'Try again in a moment.', retry: true },
} as const;
