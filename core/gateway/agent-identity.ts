import type { AgentIdentityGetResult } from '../../sdk/protocol/generated/types.ts';
import type { Config } from '../config/schema.ts';
import { readText } from './workspace-files.ts';

type Identity = Pick<AgentIdentityGetResult, 'name' | 'avatar' | 'emoji'>;

const FALLBACK = { name: 'Assistant', avatar: 'A' };
const FILE = 'IDENTITY.md';

/** Who an agent is to its user: its own entry, then its `IDENTITY.md`, then the assistant of the user interface. */
export async function identityOf(config: Config, agentId: string, workspace: string): Promise<AgentIdentityGetResult> {
  const entry = config.agents?.list?.find((agent) => agent.id.toLowerCase() === agentId);
  const written = parseIdentity(await readText(workspace, FILE));
  const own = entry?.identity;
  const shared = config.ui?.assistant;
  const name = own?.name ?? written.name ?? entry?.name ?? shared?.name ?? FALLBACK.name;
  const emoji = own?.emoji ?? written.emoji;
  const avatar = own?.avatar ?? written.avatar ?? shared?.avatar ?? emoji ?? FALLBACK.avatar;
  return { agentId, name, avatar, ...(emoji === undefined ? {} : { emoji }) };
}

/** Lines such as `- Name: Fox` or `**Emoji:** 🦊`; a placeholder in brackets counts as nothing. */
export function parseIdentity(text: string): Identity {
  const found: Identity = {};
  for (const line of text.split('\n')) {
    const [, label, value] = /^[\s*_-]*(name|emoji|avatar)[\s*_]*:[\s*_]*(.*?)[\s*_]*$/i.exec(line) ?? [];
    const key = label?.toLowerCase() as keyof Identity | undefined;
    if (key !== undefined && value !== undefined && value !== '' && !/^[([<].*[)\]>]$/.test(value)) found[key] ??= value;
  }
  return found;
}

/** The first text of the file. */
export function writeIdentity(identity: Identity): string {
  const lines = Object.entries({ Name: identity.name, Emoji: identity.emoji, Avatar: identity.avatar });
  return `# Identity\n\n${lines.flatMap(([label, value]) => (value === undefined ? [] : [`- ${label}: ${value}\n`])).join('')}`;
}
