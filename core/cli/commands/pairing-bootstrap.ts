import { networkInterfaces } from 'node:os';
import { isTrustedUrl } from '../../../sdk/client/node.ts';
import type { Action } from '../command.ts';
import { openDevices } from '../device-access.ts';
import { socketUrl } from '../gateway-target.ts';

/** `durar pairing bootstrap` */
export const pairingBootstrap: Action = async (context) => {
  const { output, options } = context;
  const access = await openDevices(context);
  try {
    const { bootstrapToken, expiresAtMs } = await access.call('device.bootstrap.issue', {});
    const url = options.publicUrl === undefined ? access.url : socketUrl(String(options.publicUrl));
    const setupCode = Buffer.from(JSON.stringify({ url, bootstrapToken })).toString('base64url');
    output.result({ setupCode, url, expiresAtMs }, () => {
      output.line(setupCode);
      output.note(output.paint.muted(`One device can pair itself by it at ${url}, within ten minutes.`));
      if (options.publicUrl === undefined && isLocalOnly(url)) output.note(`${output.paint.warn('!')} ${url} is reached from this machine only. ${advice()}`);
    });
  } finally {
    access.close();
  }
};

function isLocalOnly(url: string): boolean {
  return isTrustedUrl(url.replace(/^wss:/, 'ws:'));
}

function advice(): string {
  const address = Object.values(networkInterfaces())
    .flat()
    .find((one) => one !== undefined && !one.internal && one.family === 'IPv4')?.address;
  return `Name where the device finds the gateway, for example --public-url wss://${address ?? 'gateway.example'}:18789.`;
}
