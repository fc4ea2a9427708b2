/** `docs/reference/secret-surface.md` and `.json`: every field that may hold a secret, from the host's schema and the manifests that ship. */
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ActiveRule } from '../core/config/active-rule.ts';
import type { CatalogEntry } from '../core/manifest/catalog.ts';
import { createSecretFields, PROFILE_ROWS, type SurfaceRow } from '../core/secrets/activate.ts';

const root = join(import.meta.dirname, '..');

export function surfaceRows(): SurfaceRow[] {
  const manifests = globSync('extensions/*/*/Durar.plugin.json', { cwd: root })
    .sort()
    .map((file) => JSON.parse(readFileSync(join(root, file), 'utf8')) as CatalogEntry['manifest']);
  const entries = new Map(manifests.map((manifest) => [manifest.id, { id: manifest.id, manifest } as CatalogEntry]));
  return [...createSecretFields(entries).surface(), ...PROFILE_ROWS];
}

/** For programs. `version` changes when the meaning of a key does. */
export function surfaceDocument(): string {
  const rows = surfaceRows().map(({ segments, rules, ...row }) => ({ ...row, segments, rules: rules.map(({ active, because }) => ({ active, because })) }));
  return `${JSON.stringify({ version: 1, fields: rows }, null, 2)}\n`;
}

export function surfacePage(page: (title: string, lead: string, body: string) => string, table: (head: string[], rows: string[][]) => string): string {
  const rows = surfaceRows();
  const list = (takesRef: boolean) =>
    rows
      .filter((row) => row.takesRef === takesRef)
      .map(({ id, owner, shape, file, rules }) => [`\`${id}\``, owner, shape, `\`${file}\``, rules.map(words).join('; ')]);
  const head = ['field', 'owner', 'shape', 'file', 'in use'];
  const lead = [
    'Which fields may hold a secret. `*` stands for any key or place. The id of a row of `Durar.json` is what `secrets.resolve` takes; [plans](../operating/secret-plans.md) name the fields of `auth-profiles.json`, one file for each agent, their own way; `secret-surface.json` beside this page has the same for programs. Installed extensions add the fields that their manifests mark.',
    'A reference counts only while its field is in use. Besides what a row says, a field is out of use when it or an object above it has `enabled: false`; in `channels.<id>` also when no extension that is on serves the channel, or when no enabled account inherits it; in `plugins.entries.<id>` when the extension is off. Out of use, it is not resolved and stops nothing; the log tells it as `SECRETS_REF_IGNORED_INACTIVE_SURFACE`.',
  ].join('\n\n');
  const without = `These take a text or a \`\${NAME}\` template, and a reference there is refused. The same holds for whatever a sign-in mints or renews: OAuth access and refresh tokens, device tokens, keys of this machine, sessions of a channel.`;
  const body = [
    `## Fields that take a reference\n\n${table(head, list(true))}`,
    `## Fields that take none\n\n${without}\n\n${table(head, list(false))}`,
    '## Fields by their name\n\nIn an object whose keys the schema does not name, such as the settings of an extension without a schema, a field whose name ends in `token`, `secret`, `password`, `apiKey` and the like counts as a secret and takes a reference.',
  ].join('\n\n');
  return page('Secret fields', lead, body);
}

function words({ active, because }: ActiveRule): string {
  return `${active ? 'yes' : 'no'}: ${because}`;
}
