/** The strings that a device signs at connect. Pure: hashing and signing are done by whoever holds the key. */

export interface DeviceAuthFields {
  deviceId: string;
  clientId: string;
  clientMode: string;
  role: string;
  /** In the order in which they are sent. */
  scopes: readonly string[];
  /** epoch ms */
  signedAt: number;
  /** `auth.token`, else `auth.deviceToken`, else `auth.bootstrapToken`; never the password. */
  token?: string | null;
  nonce: string;
  platform?: string | null;
  deviceFamily?: string | null;
}

/** The older payload, still accepted. */
export function deviceAuthPayloadV2(fields: DeviceAuthFields): string {
  return ['v2', ...common(fields)].join('|');
}

/** The preferred payload; it also binds what the device says it is. */
export function deviceAuthPayloadV3(fields: DeviceAuthFields): string {
  return ['v3', ...common(fields), metadataField(fields.platform), metadataField(fields.deviceFamily)].join('|');
}

/** How platform and device family are compared and signed: trimmed, ASCII letters in lower case, nothing else changed. */
export function metadataField(value: string | null | undefined): string {
  return (value ?? '').trim().replace(/[A-Z]/g, (letter) => letter.toLowerCase());
}

function common(fields: DeviceAuthFields): string[] {
  return [fields.deviceId, fields.clientId, fields.clientMode, fields.role, fields.scopes.join(','), String(fields.signedAt), fields.token ?? '', fields.nonce];
}
