import assert from 'node:assert/strict';
import type { Tool, ToolResult } from '../ports/tool.ts';
import type { ContractContext, ContractSuite } from './contract.ts';
import { deepFreeze } from './freeze.ts';

type Params = Record<string, unknown>;

/** What the suite needs of a tool. Calls that cannot be made are left out; their cases are skipped. */
export interface ToolContractContext extends ContractContext {
  tool: Tool;
  /** Arguments of a call that succeeds. Made anew for each call. */
  goodCall?(): Params;
  /** Arguments that fit the schema, of a call that fails. */
  badCall?(): Params;
  /** Arguments of a call that does not end by itself. */
  endlessCall?(): Params;
}

const noGoodCall = ({ goodCall }: ToolContractContext) => (goodCall === undefined ? 'no call that succeeds' : undefined);

export const toolContract: ContractSuite<ToolContractContext> = {
  port: 'tool',
  cases: [
    {
      name: 'it has a name that every model API takes, and a description',
      async run({ tool }) {
        assert.match(tool.name, /^[a-zA-Z0-9_-]{1,64}$/);
        assert.ok(typeof tool.description === 'string' && tool.description.trim() !== '', 'no description');
        assert.equal(typeof tool.execute, 'function');
      },
    },
    {
      name: 'its parameters are the JSON Schema of an object',
      async run({ tool }) {
        const { parameters } = tool;
        // A clone has none of the symbols by which schema libraries mark their objects; they are nobody's data.
        assert.deepEqual(JSON.parse(JSON.stringify(parameters)), structuredClone(parameters), 'the schema is not plain data');
        assert.equal(parameters.type, 'object');
        const properties = parameters.properties ?? {};
        assert.ok(typeof properties === 'object', 'properties is not an object');
        for (const name of (parameters.required ?? []) as string[]) assert.ok(Object.hasOwn(properties, name), `'${name}' is required and not described`);
      },
    },
    {
      name: 'a call answers with text and image blocks',
      skip: noGoodCall,
      async run({ tool, goodCall }) {
        const result = await tool.execute('call-1', goodCall?.() ?? {});
        checkResult(result);
        assert.notEqual(result.isError, true, JSON.stringify(result.content));
      },
    },
    {
      name: 'a result is plain data',
      skip: noGoodCall,
      async run({ tool, goodCall }) {
        const result = await tool.execute('call-1', goodCall?.() ?? {});
        structuredClone(result);
        assert.deepEqual(JSON.parse(JSON.stringify(result.content)), result.content);
      },
    },
    {
      name: 'the arguments are left as they were',
      skip: noGoodCall,
      async run({ tool, goodCall }) {
        const params = goodCall?.() ?? {};
        const before = structuredClone(params);
        await tool.execute('call-1', deepFreeze(params));
        assert.deepEqual(params, before);
      },
    },
    {
      name: 'partial results have the shape of results',
      skip: noGoodCall,
      async run({ tool, goodCall }) {
        const partials: ToolResult[] = [];
        await tool.execute('call-1', goodCall?.() ?? {}, new AbortController().signal, (partial) => partials.push(partial));
        for (const partial of partials) checkResult(partial);
      },
    },
    {
      name: 'a failure is a throw with a message, or a result marked as an error',
      skip: ({ badCall }) => (badCall === undefined ? 'no call that fails' : undefined),
      async run({ tool, badCall }) {
        let result: ToolResult;
        try {
          result = await tool.execute('call-1', badCall?.() ?? {});
        } catch (error) {
          assert.ok(error instanceof Error && error.message !== '', 'the thrown value says nothing');
          return;
        }
        checkResult(result);
        assert.equal(result.isError, true);
      },
    },
    {
      name: 'an abort ends a call',
      timeoutMs: 5000,
      skip: ({ endlessCall }) => (endlessCall === undefined ? 'no call that never ends' : undefined),
      async run({ tool, endlessCall }) {
        const abort = new AbortController();
        const call = Promise.allSettled([tool.execute('call-1', endlessCall?.() ?? {}, abort.signal)]);
        setTimeout(() => abort.abort(), 100);
        const [end] = await call;
        assert.ok(end.status === 'rejected' || end.value.isError === true, 'the aborted call reports success');
      },
    },
  ],
};

function checkResult(result: ToolResult): void {
  assert.ok(Array.isArray(result?.content), 'content is not a list');
  for (const block of result.content) {
    if (block.type === 'text') assert.equal(typeof block.text, 'string');
    else {
      assert.equal(block.type, 'image');
      assert.ok(typeof block.data === 'string' && block.mimeType.startsWith('image/'), 'not an image');
    }
  }
}
