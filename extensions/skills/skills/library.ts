import { createProgramFinder, type Eligibility, judge } from './eligibility.ts';
import { type BrokenSkill, createSkillRoot, type Place, type Skill, type SkillRoot } from './root.ts';
import { record } from './skill-file.ts';
import { type Source, type SourceName, type SourceParams, skillSources } from './sources.ts';

/** A skill as one agent sees it. */
export interface KnownSkill extends Skill, Eligibility {
  source: SourceName;
}

export interface Whose {
  agentId: string;
  workspaceDir: string;
}

/** All skills, by agent. Folders are read when they are first asked for and again after a change. */
export interface SkillLibrary {
  /** By name; those that cannot be used too. */
  list(whose: Whose): Promise<KnownSkill[]>;
  broken(whose: Whose): Promise<BrokenSkill[]>;
  /** Everything is read again when it is next asked for. */
  forget(): void;
}

export interface LibraryOptions {
  params(): SourceParams;
  /** Says once of each folder what is wrong with it. */
  complain(skill: BrokenSkill): void;
}

const DEBOUNCE_MS = 250;

export function createSkillLibrary({ params, complain }: LibraryOptions): SkillLibrary {
  const roots = new Map<string, { root: SkillRoot; isWatched: boolean }>();
  const find = createProgramFinder();
  const complained = new Set<string>();
  let timer: NodeJS.Timeout | undefined;

  /** A while after the last change all is read, so that a turn finds it there. */
  function readSoon(): void {
    const { watchDebounceMs } = loadSettings(params().config);
    clearTimeout(timer);
    timer = setTimeout(() => {
      for (const { root } of roots.values()) root.content().catch((error: unknown) => complain({ filePath: 'skills', reason: String(error) }));
    }, watchDebounceMs);
    timer.unref();
  }

  function rootOf(place: Place): SkillRoot {
    const { dir } = place;
    const { watch } = loadSettings(params().config);
    const known = roots.get(dir);
    if (known?.isWatched === watch) return known.root;
    known?.root.close();
    const root = createSkillRoot(place, watch ? readSoon : undefined);
    roots.set(dir, { root, isWatched: watch });
    return root;
  }

  async function contents({ workspaceDir }: Whose) {
    const sources: Source[] = skillSources(workspaceDir, params());
    return Promise.all(sources.map(async ({ name, ...place }) => ({ source: name, ...(await rootOf(place).content()) })));
  }

  return {
    async list(whose) {
      const { config } = params();
      const found = new Map<string, { skill: Skill; source: SourceName }>();
      for (const { source, skills, broken } of await contents(whose)) {
        for (const skill of skills) if (!found.has(skill.name)) found.set(skill.name, { skill, source });
        for (const one of broken) {
          const mark = `${one.filePath}: ${one.reason}`;
          if (complained.has(mark)) continue;
          complained.add(mark);
          complain(one);
        }
      }
      const judged = [...found.values()].map(async ({ skill, source }) => ({
        ...skill,
        source,
        ...(await judge(skill, { source, config, agentId: whose.agentId, find })),
      }));
      return (await Promise.all(judged)).sort((a, b) => (a.name < b.name ? -1 : 1));
    },
    broken: async (whose) => (await contents(whose)).flatMap(({ broken }) => broken),
    forget() {
      clearTimeout(timer);
      for (const { root } of roots.values()) root.close();
      roots.clear();
    },
  };
}

export function loadSettings(config: Record<string, unknown>): { watch: boolean; watchDebounceMs: number } {
  const { watch, watchDebounceMs } = record(record(config.skills).load);
  return { watch: watch !== false, watchDebounceMs: typeof watchDebounceMs === 'number' ? watchDebounceMs : DEBOUNCE_MS };
}
