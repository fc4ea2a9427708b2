import type { CommandSpec } from '../command.ts';
import { RPC } from '../rpc-options.ts';

/** Commands that set context engines side by side. */
export const ENGINE_COMMANDS: readonly CommandSpec[] = [
  {
    name: 'compare',
    summary: 'what the shadow engine did beside the active one: tokens, latency, what each dropped, failures',
    options: [...RPC, { flags: '--session <key>', text: 'of one session only' }, { flags: '--since <duration>', text: 'of the time since, such as 90m or 7d' }],
    examples: [
      ['config set plugins.slots.contextEngineShadow recall', 'let recall run beside the active engine, without effect'],
      ['context compare --since 1d', 'what it would have sent since yesterday'],
    ],
    load: async () => (await import('../commands/context-compare.ts')).contextCompare,
  },
  {
    name: 'replay',
    summary: 'run a recorded session again, offline, through engines of your choice',
    args: '<session>',
    options: [
      ...RPC,
      { flags: '--engine <id>', text: 'an engine to replay with; once for each', repeat: true },
      { flags: '--turns <count>', text: 'only the first turns', number: true },
      { flags: '--model-window <tokens>', text: "the context window to replay for (the last run's)", number: true },
    ],
    examples: [['context replay main --engine legacy --engine recall --model-window 16000', 'how both would fit into a small window']],
    load: async () => (await import('../commands/context-replay.ts')).contextReplay,
  },
];
