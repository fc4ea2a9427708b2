import type { KnownSkill } from './library.ts';
import { shortPath } from './sources.ts';

/** What stands in one prompt at most. */
const MAX_SKILLS = 150;
const MAX_CHARS = 30_000;

const INTRO = `## Skills
If one of these skills suits the task, first read its file at <location> with \`read\` and follow it. Relative paths in it start at its own folder.`;

/** The section of the system prompt: what skills there are, and where. What they say stands in their files. undefined: there are none. */
export function skillsSection(skills: readonly KnownSkill[]): string | undefined {
  const blocks: string[] = [];
  let left = MAX_CHARS;
  const offered = skills.filter(({ eligible, hidden }) => eligible && !hidden);
  for (const { name, description, filePath } of offered.slice(0, MAX_SKILLS)) {
    const block = `  <skill>
    <name>${escaped(name)}</name>
    <description>${escaped(description)}</description>
    <location>${escaped(shortPath(filePath))}</location>
  </skill>
`;
    if (block.length > left) continue;
    left -= block.length;
    blocks.push(block);
  }
  if (blocks.length === 0) return undefined;
  return `${INTRO}\n\n<available_skills>\n${blocks.join('')}</available_skills>`;
}

function escaped(text: string): string {
  return text.replace(/\s+/g, ' ').replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
