import type { SecretRef } from '../../sdk/index.ts';
import type { RuleFacts } from '../config/active-rule.ts';
import { formatPath, isRecord, type Segment } from '../config/config-path.ts';
import { type Resolution, sourceSettings } from './batches.ts';
import type { SecretFields } from './fields.ts';
import { catalogueTexts, envLines, plainTexts, profileTexts } from './plain-texts.ts';
import { oauthProblems } from './policy.ts';
import { PROFILE_FIELDS } from './profile-fields.ts';
import { isSecretRef, keyOf } from './ref.ts';
import { isMarker, isSecretVariable } from './secret-names.ts';
import { holderOf, type SecretFiles, staticEntry } from './stored-files.ts';
import { chooseCandidates, collectUses, type SecretUse, settleChoices } from './uses.ts';

export type FindingCode = 'PLAINTEXT_FOUND' | 'REF_UNRESOLVED' | 'REF_SHADOWED' | 'LEGACY_RESIDUE';

/** One thing that an audit has to say. Holds no value. */
export interface AuditFinding {
  code: FindingCode;
  /** `info` is a reminder; it leaves the status clean. */
  severity: 'info' | 'warn' | 'error';
  file: string;
  jsonPath: string;
  message: string;
  /** What to do. */
  hint: string;
  /** `host`, or the extension whose field it is. */
  owner: string;
  provider?: string;
  profileId?: string;
}

export interface AuditReport {
  version: 1;
  status: 'clean' | 'findings' | 'unresolved';
  resolution: { refsChecked: number; skippedExecRefs: number; resolvabilityComplete: boolean };
  filesScanned: string[];
  summary: { plaintextCount: number; unresolvedRefCount: number; shadowedRefCount: number; legacyResidueCount: number };
  findings: AuditFinding[];
}

export interface AuditOptions {
  files: SecretFiles;
  /** Effective, with its references as they stand. */
  config: object;
  fields: SecretFields;
  facts: Omit<RuleFacts, 'config'>;
  /** Variables that hold a credential, as the installed providers say. */
  variables: ReadonlySet<string>;
  /** Absent commands are not run: `exec` references are counted, not asked for. */
  allowExec: boolean;
  resolve(refs: readonly SecretRef[]): Promise<Resolution>;
}

const CONFIGURE = 'run `durar secrets configure`';
const FIXED_SOURCES = ['env', 'file', 'exec'];

/** Looks for secrets at rest, references that fail, and credentials that hide a reference. Changes nothing. */
export async function auditSecrets(options: AuditOptions): Promise<AuditReport> {
  const { files } = options;
  const owners = ownerTest(options.fields);
  const found: AuditFinding[] = [...configTexts(options, owners), ...storedTexts(options), ...environmentTexts(options), ...legacy(files)];
  const references = await checkReferences(options, owners);
  found.push(...references.findings, ...shadowed(options, owners));
  const count = (code: FindingCode) => found.filter((finding) => finding.code === code && finding.severity !== 'info').length;
  const summary = {
    plaintextCount: count('PLAINTEXT_FOUND'),
    unresolvedRefCount: count('REF_UNRESOLVED'),
    shadowedRefCount: count('REF_SHADOWED'),
    legacyResidueCount: count('LEGACY_RESIDUE'),
  };
  const isClean = Object.values(summary).every((number) => number === 0);
  return {
    version: 1,
    status: summary.unresolvedRefCount > 0 ? 'unresolved' : isClean ? 'clean' : 'findings',
    resolution: references.resolution,
    filesScanned: scanned(files),
    summary,
    findings: found,
  };
}

/** The host, or the extension that marks a field. */
export function ownerTest(fields: SecretFields): (path: readonly Segment[]) => string {
  const rows = fields.surface();
  return (path) => {
    const row = rows.find(({ segments }) => segments.length === path.length && segments.every((name, at) => name === '*' || name === String(path[at])));
    if (row !== undefined) return row.owner;
    return path[0] === 'plugins' && path[1] === 'entries' ? String(path[2]) : 'host';
  };
}

function configTexts({ files, fields }: AuditOptions, owners: (path: readonly Segment[]) => string): AuditFinding[] {
  return files.config.flatMap(({ file, value, at }) =>
    plainTexts(value, fields, at).map(({ path }) => {
      const movable = fields.find(path)?.takesRef === true;
      const jsonPath = formatPath(path);
      return {
        ...{ code: 'PLAINTEXT_FOUND' as const, severity: 'warn' as const, file, jsonPath, owner: owners(path) },
        message: `${jsonPath} is a secret in plain text`,
        hint: movable
          ? `${CONFIGURE} to move it`
          : 'this field takes no reference; keep it in an environment variable and write the template of that variable here',
        ...(path[0] === 'models' && path[1] === 'providers' ? { provider: String(path[2]) } : {}),
      };
    }),
  );
}

function storedTexts({ files, variables }: AuditOptions): AuditFinding[] {
  return files.agents.flatMap(({ id, profiles, models }) => {
    const credentials = profiles.stored === undefined ? [] : profileTexts(profiles.stored.value);
    const catalogue = models === undefined ? [] : catalogueTexts(models.value).filter(({ value }) => !isMarker(value, variables));
    return [
      ...credentials.map(
        ({ path, profileId, provider }): AuditFinding => ({
          ...{ code: 'PLAINTEXT_FOUND', severity: 'warn', file: profiles.file, jsonPath: formatPath(path), owner: 'host' },
          message: `the credential '${profileId}' of agent '${id}' is in plain text`,
          hint: `run \`durar secrets configure --agent ${id}\` to move it`,
          provider,
          profileId,
        }),
      ),
      ...catalogue.map(
        ({ path }): AuditFinding => ({
          ...{ code: 'PLAINTEXT_FOUND', severity: 'warn', file: models?.file ?? '', jsonPath: formatPath(path), owner: 'host' },
          message:
            path.at(-2) === 'headers' ? `the header ${String(path.at(-1))} holds a credential in plain text` : `${formatPath(path)} is a secret in plain text`,
          hint: 'the file is generated: move the secret in the configuration, then remove the file',
          provider: String(path[1]),
        }),
      ),
    ];
  });
}

function environmentTexts({ files, variables }: AuditOptions): AuditFinding[] {
  return files.env.flatMap(({ file, text }) =>
    envLines(text)
      .filter(({ name, value = '' }) => name !== undefined && value !== '' && (variables.has(name) || isSecretVariable(name)))
      .map(
        ({ name = '' }): AuditFinding => ({
          ...{ code: 'PLAINTEXT_FOUND', severity: 'warn', file, jsonPath: name, owner: 'host' },
          message: `the variable ${name} is a secret in plain text`,
          hint: 'give it to the service by its environment, or keep it in another source and remove the line',
        }),
      ),
  );
}

function legacy({ agents, oauth }: SecretFiles): AuditFinding[] {
  const found: AuditFinding[] = [];
  const add = (severity: 'info' | 'warn', file: string, jsonPath: string, message: string, hint: string, more: object = {}) =>
    found.push({ code: 'LEGACY_RESIDUE', severity, file, jsonPath, message, hint, owner: 'host', ...more });
  for (const { id, profiles, legacy: old } of agents) {
    for (const [provider, entry] of Object.entries(old?.value ?? {})) {
      const file = old?.file ?? '';
      if (staticEntry(provider, entry) !== undefined) {
        add(
          'warn',
          file,
          formatPath([provider]),
          `a static key of '${provider}' is left in the legacy file of agent '${id}'`,
          'the next start of the gateway, or `durar secrets apply`, takes it over and removes it',
          { provider },
        );
      } else if (isRecord(entry) && entry.type === 'oauth') {
        add(
          'info',
          file,
          formatPath([provider]),
          `a sign-in of '${provider}' is in the legacy file of agent '${id}'`,
          'it is imported, and is not part of this',
          { provider },
        );
      }
    }
    const stored = isRecord(profiles.stored?.value.profiles) ? profiles.stored.value.profiles : {};
    for (const [profileId, profile] of Object.entries(stored)) {
      if (!isRecord(profile) || profile.type !== 'oauth') continue;
      const more = { provider: String(profile.provider ?? ''), profileId };
      const text = `the sign-in '${profileId}' of agent '${id}' keeps its tokens in this file`;
      add('info', profiles.file, formatPath(['profiles', profileId]), text, 'what a sign-in renews cannot be a reference; nothing to do', more);
    }
  }
  if (oauth !== undefined)
    add('info', oauth.file, '(root)', 'the file of sign-ins from before is still here', 'it is imported once; remove it when the agents answer');
  return found;
}

/** A place where a reference stands, and what is known of it. */
interface Placed {
  file: string;
  use: SecretUse;
  provider?: string;
  profileId?: string;
}

async function checkReferences(options: AuditOptions, owners: (path: readonly Segment[]) => string) {
  const { files, config, fields, facts, allowExec } = options;
  const settings = sourceSettings(config);
  const envAlias = typeof settings.defaults.env === 'string' ? settings.defaults.env : 'default';
  const sources = new Set([...FIXED_SOURCES, ...Object.values(settings.providers).map((block) => (isRecord(block) ? String(block.source) : ''))]);
  const stored = files.agents.flatMap(({ profiles }) => (profiles.stored === undefined ? [] : [profiles.stored]));
  const fileOf = (path: readonly Segment[]) => holderOf(files.config, path)?.file ?? '';
  const own = collectUses({ value: config, fields, facts: { ...facts, config }, envAlias, sources });
  const placed: Placed[] = own.uses.map((use) => ({ use, file: fileOf(use.path) }));
  for (const { file, value } of stored) {
    const { uses } = collectUses({ value, fields: PROFILE_FIELDS, facts: { ...facts, config: value }, envAlias, sources });
    placed.push(...uses.map((use) => ({ use, file, profileId: String(use.path[1]) })));
  }
  const all = placed.map(({ use }) => use);
  settleChoices(all);
  const wanted = new Map(all.filter(({ activity }) => activity.state !== 'inactive').flatMap(({ refs }) => refs.map((ref) => [keyOf(ref), ref] as const)));
  const asked = [...wanted.values()].filter(({ source }) => allowExec || source !== 'exec');
  const { values, problems } = await options.resolve(asked);
  chooseCandidates(all, ({ refs }) => refs.every((ref) => values.has(keyOf(ref)) || !problems.has(keyOf(ref))));

  const unresolved = (file: string, path: readonly Segment[], message: string, hint: string, more: object = {}): AuditFinding => ({
    ...{ code: 'REF_UNRESOLVED', severity: 'error', file, jsonPath: formatPath(path), message, hint, owner: owners(path) },
    ...more,
  });
  const findings = placed.flatMap(({ file, use, profileId }) => {
    const problem = use.activity.state === 'inactive' ? undefined : use.refs.map((ref) => problems.get(keyOf(ref))).find((each) => each !== undefined);
    if (problem === undefined) return [];
    const more = profileId === undefined ? {} : { profileId };
    return [unresolved(file, use.path, problem(use.path).message, 'correct the reference or its source; a gateway refuses to start with it', more)];
  });
  for (const path of own.misplaced)
    findings.push(
      unresolved(fileOf(path), path, `${formatPath(path)} takes no reference`, 'write the value itself, or the template of an environment variable'),
    );
  for (const { message, hint, owner } of oauthProblems(config, stored)) {
    const path = (owner.pointer ?? '').split('/').slice(1);
    findings.push(unresolved(owner.file ?? fileOf(path), path, message, hint));
  }
  const skippedExecRefs = wanted.size - asked.length;
  return { findings, resolution: { refsChecked: asked.length, skippedExecRefs, resolvabilityComplete: skippedExecRefs === 0 } };
}

/** A stored credential of a model provider wins over the reference in the configuration. */
function shadowed({ files, config }: AuditOptions, owners: (path: readonly Segment[]) => string): AuditFinding[] {
  const models = isRecord((config as { models?: unknown }).models) ? (config as { models: { providers?: unknown } }).models.providers : undefined;
  return Object.entries(isRecord(models) ? models : {}).flatMap(([provider, block]) => {
    const key = isRecord(block) ? block.apiKey : undefined;
    if (!isSecretRef(key) && !(typeof key === 'string' && key.includes('${'))) return [];
    const path = ['models', 'providers', provider, 'apiKey'];
    return files.agents.flatMap(({ id, profiles }) =>
      Object.entries(isRecord(profiles.stored?.value.profiles) ? profiles.stored.value.profiles : {})
        .filter(([, profile]) => isRecord(profile) && profile.provider === provider)
        .map(
          ([profileId]): AuditFinding => ({
            ...{ code: 'REF_SHADOWED', severity: 'warn', file: holderOf(files.config, path)?.file ?? '', jsonPath: formatPath(path), owner: owners(path) },
            message: `the credential '${profileId}' of agent '${id}' is used, and the reference at ${formatPath(path)} is not`,
            hint: `remove the credential from ${profiles.file}, or the reference`,
            provider,
            profileId,
          }),
        ),
    );
  });
}

function scanned({ config, agents, env, oauth }: SecretFiles): string[] {
  const stored = agents.flatMap(({ profiles, legacy: old, models }) =>
    [profiles.stored, old, models].flatMap((each) => (each === undefined ? [] : [each.file])),
  );
  return [
    ...config.filter(({ exists }) => exists).map(({ file }) => file),
    ...stored,
    ...env.map(({ file }) => file),
    ...(oauth === undefined ? [] : [oauth.file]),
  ];
}
