import { Type } from '@sinclair/typebox';
import { count, flag, oneOf, opt, PlainSecret, secret, section, shape, strings, text } from './parts.ts';
import { AUTH, remote } from './surface-rules.ts';

const restart = { 'x-reload': 'restart' };
const none = { 'x-reload': 'none' };
/** The log tells whether it counts, and why. */
const announced = { 'x-announce': 'SECRETS_GATEWAY_AUTH_SURFACE' };

const Fetching = {
  allowUrl: flag(true),
  urlAllowlist: opt(strings()),
  allowedMimes: opt(strings()),
  maxRedirects: count(3),
  timeoutMs: count(10_000),
};

export const Gateway = section(
  {
    mode: opt(oneOf(['local', 'remote'], { description: 'local: a gateway runs here; remote: commands talk to another one' })),
    port: Type.Integer({ minimum: 1, maximum: 65_535, default: 18_789, title: 'Port', description: 'TCP port of WebSocket and HTTP', ...restart }),
    bind: oneOf(['auto', 'loopback', 'lan', 'tailnet', 'custom'], { default: 'loopback', title: 'Bind', description: 'who can reach the port', ...restart }),
    customBindHost: opt(text({ description: 'address for bind "custom"', ...restart })),
    trustedProxies: strings({ default: [], description: 'addresses whose forwarded headers are believed' }),
    allowRealIpFallback: flag(false),
    auth: section(
      {
        mode: opt(oneOf(['none', 'token', 'password', 'trusted-proxy'])),
        token: opt(secret(AUTH.token, announced)),
        password: opt(secret(AUTH.password, announced)),
        allowTailscale: opt(Type.Boolean()),
        rateLimit: section({ maxAttempts: count(10), windowMs: count(60_000), lockoutMs: count(300_000), exemptLoopback: flag(true) }),
        trustedProxy: opt(shape({ userHeader: text(), requiredHeaders: opt(strings()), allowUsers: opt(strings()) })),
      },
      { title: 'Authentication' },
    ),
    remote: opt(
      shape(
        {
          url: opt(text()),
          transport: opt(oneOf(['ssh', 'direct'])),
          token: opt(secret(remote('token'), announced)),
          password: opt(secret(remote('password'), announced)),
          tlsFingerprint: opt(text()),
          sshTarget: opt(text()),
          sshIdentity: opt(text()),
        },
        none,
      ),
    ),
    tls: section({ enabled: flag(false), autoGenerate: opt(Type.Boolean()), certPath: opt(text()), keyPath: opt(text()), caPath: opt(text()) }, restart),
    controlUi: section({
      enabled: flag(true),
      basePath: opt(Type.String()),
      root: opt(text()),
      allowedOrigins: opt(strings()),
      allowInsecureAuth: flag(false),
      dangerouslyAllowHostHeaderOriginFallback: flag(false),
      dangerouslyDisableDeviceAuth: flag(false),
    }),
    http: section({
      endpoints: section({
        chatCompletions: section({
          enabled: flag(true),
          maxBodyBytes: count(20_000_000),
          maxImageParts: opt(count()),
          maxTotalImageBytes: opt(count()),
          images: opt(shape({ ...Fetching, maxBytes: count(10_485_760) })),
        }),
        responses: section({
          enabled: flag(true),
          maxBodyBytes: count(20_000_000),
          maxUrlParts: count(8),
          files: section({
            ...Fetching,
            maxBytes: count(5_242_880),
            maxChars: count(200_000),
            pdf: section({ maxPages: count(4), maxPixels: count(4_000_000), minTextChars: count(200) }),
          }),
          images: section({ ...Fetching, maxBytes: count(10_485_760) }),
        }),
      }),
      securityHeaders: section({ strictTransportSecurity: opt(Type.Unsafe<string | boolean>({ type: ['string', 'boolean'] })) }),
    }),
    tools: section({ deny: strings({ default: [] }), allow: strings({ default: [] }) }, { description: 'tool policy of POST /tools/invoke' }),
    nodes: section({
      allowCommands: strings({ default: [] }),
      denyCommands: strings({ default: [] }),
      browser: opt(shape({ mode: opt(Type.String()), node: opt(text()) })),
    }),
    tailscale: section({ mode: opt(oneOf(['off', 'serve', 'funnel'])), resetOnExit: flag(false) }),
    reload: section(
      {
        mode: oneOf(['off', 'restart', 'hot', 'hybrid'], { default: 'hybrid', description: 'what an edit of the configuration does to a running gateway' }),
        debounceMs: count(500),
        deferralTimeoutMs: count(300_000, { description: 'how long running turns may delay a swap' }),
      },
      none,
    ),
    webchat: section({ chatHistoryMaxChars: opt(count()) }),
    channelHealthCheckMinutes: count(5, { description: '0 turns the check off' }),
    channelStaleEventThresholdMinutes: count(30),
    channelMaxRestartsPerHour: count(10),
  },
  { title: 'Gateway' },
);

export const Logging = section(
  {
    level: oneOf(['silent', 'fatal', 'error', 'warn', 'info', 'debug', 'trace'], { default: 'info', title: 'File level' }),
    file: opt(text({ description: 'used as is; default: one file a day under the temporary folder' })),
    maxFileBytes: Type.Integer({ minimum: 1, default: 524_288_000 }),
    consoleLevel: oneOf(['silent', 'fatal', 'error', 'warn', 'info', 'debug', 'trace'], { default: 'info', title: 'Console level' }),
    consoleStyle: oneOf(['pretty', 'compact', 'json'], { default: 'pretty' }),
    redactSensitive: oneOf(['off', 'tools'], { default: 'tools' }),
    redactPatterns: opt(strings({ description: 'regular expressions; replace the built-in ones' })),
  },
  { title: 'Logging' },
);

export const Secrets = section(
  {
    providers: Type.Unsafe<Record<string, { source: string; timeoutMs?: number } & Record<string, unknown>>>({
      type: 'object',
      default: {},
      propertyNames: { pattern: '^[a-z][a-z0-9_-]{0,63}$' },
      additionalProperties: Type.Object(
        { source: Type.String({ pattern: '^[a-z][a-z0-9_-]{0,63}$' }), timeoutMs: opt(count()) },
        { description: 'the remaining keys belong to the source, whose extension checks them' },
      ),
    }),
    defaults: section({ env: text({ default: 'default' }), file: opt(text()), exec: opt(text()) }),
    resolution: section({ maxProviderConcurrency: count(4), maxRefsPerProvider: count(512), maxBatchBytes: count(262_144) }),
  },
  { title: 'Secrets' },
);

export const Auth = section(
  {
    profiles: opt(
      Type.Unsafe<Record<string, { provider: string; mode: 'api_key' | 'oauth' | 'token'; email?: string }>>({
        type: 'object',
        additionalProperties: shape({ provider: text(), mode: oneOf(['api_key', 'oauth', 'token']), email: opt(text()) }),
      }),
    ),
    order: opt(Type.Unsafe<Record<string, string[]>>({ type: 'object', additionalProperties: strings() })),
    cooldowns: section({
      billingBackoffHours: Type.Number({ minimum: 0, default: 5 }),
      billingBackoffHoursByProvider: opt(Type.Unsafe<Record<string, number>>({ type: 'object', additionalProperties: Type.Number({ minimum: 0 }) })),
      billingMaxHours: Type.Number({ minimum: 0, default: 24 }),
      failureWindowHours: Type.Number({ minimum: 0, default: 24 }),
      overloadedProfileRotations: count(1),
      overloadedBackoffMs: count(0),
      rateLimitedProfileRotations: count(1),
    }),
  },
  { title: 'Model credentials (metadata only, never secrets)' },
);

export const Commands = section({
  native: Type.Unsafe<boolean | 'auto'>({ enum: [true, false, 'auto'], default: 'auto' }),
  nativeSkills: Type.Unsafe<boolean | 'auto'>({ enum: [true, false, 'auto'], default: 'auto' }),
  text: flag(true),
  bash: flag(false),
  bashForegroundMs: count(2000),
  config: flag(false),
  mcp: flag(false),
  plugins: flag(false),
  debug: flag(false),
  restart: flag(true),
  allowFrom: opt(Type.Unsafe<Record<string, string[]>>({ type: 'object', additionalProperties: strings() })),
  useAccessGroups: flag(true),
  ownerAllowFrom: opt(strings()),
  ownerDisplaySecret: opt(PlainSecret),
});
