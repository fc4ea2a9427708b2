import type { AuthMode, ControlUiSettings } from './options.ts';

/** A setting that opens the gateway further than its defaults do. */
export interface Exposure {
  /** The configuration key. */
  path: string;
  message: string;
  hint: string;
}

/** What the operator should know before somebody else finds it; told at each start and by `doctor`. */
export function findExposures({ auth, controlUi = {} }: { auth: { mode?: AuthMode | undefined }; controlUi?: ControlUiSettings }): Exposure[] {
  const found: Exposure[] = [];
  const add = (isOpen: boolean, path: string, message: string, hint: string) => {
    if (isOpen) found.push({ path, message: `${path} ${message}`, hint });
  };
  const unset = (path: string) => `Run \`durar config unset ${path}\` when you no longer need it.`;
  const origins = 'gateway.controlUi.allowedOrigins';
  const flag = (name: string) => `gateway.controlUi.${name}`;
  add(auth.mode === 'none', 'gateway.auth.mode', 'is none: whoever reaches the port is an operator', 'Run `durar config set gateway.auth.mode token`.');
  add(
    controlUi.dangerouslyDisableDeviceAuth === true,
    flag('dangerouslyDisableDeviceAuth'),
    'is on: a control UI needs the shared secret only, and no approved device',
    unset(flag('dangerouslyDisableDeviceAuth')),
  );
  add(
    controlUi.dangerouslyAllowHostHeaderOriginFallback === true,
    flag('dangerouslyAllowHostHeaderOriginFallback'),
    'is on: a page of any host name that leads here may connect',
    `Name the pages in ${origins} instead.`,
  );
  add(controlUi.allowInsecureAuth === true, flag('allowInsecureAuth'), 'is on: a control UI of this machine needs no device', unset(flag('allowInsecureAuth')));
  add(controlUi.allowedOrigins?.includes('*') === true, origins, 'allows pages of every origin', `Name the pages in ${origins}.`);
  return found;
}
