import { durarError } from '../errors.ts';
import type { PluginRuntime } from '../plugin-runtime.ts';

/** The members of that line's `api.runtime`: one line per namespace, its name first. A namespace within one is written with a dot. */
const RUNTIME_MEMBERS = `
config loadConfig writeConfigFile
agent resolveAgentDir resolveAgentWorkspaceDir resolveAgentIdentity resolveThinkingDefault resolveAgentTimeoutMs ensureAgentWorkspace runEmbeddedPiAgent
agent.session resolveStorePath loadSessionStore saveSessionStore resolveSessionFilePath
subagent run waitForRun getSessionMessages getSession deleteSession
system enqueueSystemEvent requestHeartbeatNow runHeartbeatOnce runCommandWithTimeout formatNativeDependencyHint
media loadWebMedia detectMime mediaKindFromMime isVoiceCompatibleAudio getImageMetadata resizeToJpeg
tts textToSpeech textToSpeechTelephony listVoices
stt transcribeAudioFile
mediaUnderstanding runFile describeImageFile describeImageFileWithModel describeVideoFile transcribeAudioFile
imageGeneration generate listProviders
webSearch listProviders search
events onAgentEvent onSessionTranscriptUpdate
logging shouldLogVerbose getChildLogger
state resolveStateDir
modelAuth getApiKeyForModel resolveApiKeyForProvider
taskFlow fromToolContext bindSession
tasks.flow fromToolContext bindSession
tasks.flows fromToolContext bindSession
tasks.runs fromToolContext bindSession
tools createMemoryGetTool createMemorySearchTool registerMemoryCli
channel.text chunkByNewline chunkMarkdownText chunkMarkdownTextWithMode chunkText chunkTextWithMode resolveChunkMode resolveTextChunkLimit hasControlCommand resolveMarkdownTableMode convertMarkdownTables
channel.reply dispatchReplyWithBufferedBlockDispatcher createReplyDispatcherWithTyping resolveEffectiveMessagesConfig resolveHumanDelayConfig dispatchReplyFromConfig withReplyDispatcher finalizeInboundContext formatAgentEnvelope formatInboundEnvelope resolveEnvelopeFormatOptions
channel.routing buildAgentSessionKey resolveAgentRoute
channel.pairing buildPairingReply readAllowFromStore upsertPairingRequest
channel.media fetchRemoteMedia saveMediaBuffer
channel.activity record get
channel.session resolveStorePath readSessionUpdatedAt recordSessionMetaFromInbound recordInboundSession updateLastRoute
channel.mentions buildMentionRegexes matchesMentionPatterns matchesMentionWithExplicit
channel.reactions shouldAckReaction removeAckReactionAfterReply
channel.groups resolveGroupPolicy resolveRequireMention
channel.debounce createInboundDebouncer resolveInboundDebounceMs
channel.commands resolveCommandAuthorizedFromAuthorizers isControlCommandMessage shouldComputeCommandAuthorized shouldHandleTextCommands
channel.outbound loadAdapter
channel.threadBindings setIdleTimeoutBySessionKey setMaxAgeBySessionKey
`;

/** What is in the table and in our own `api.runtime`; everything else in the table is stood in for. */
const OFFERED: ReadonlySet<string> = new Set([
  'config.loadConfig',
  'config.writeConfigFile',
  'agent.resolveAgentDir',
  'agent.resolveAgentWorkspaceDir',
  'agent.resolveAgentTimeoutMs',
  'agent.session.resolveStorePath',
  'subagent.run',
  'subagent.waitForRun',
  'subagent.getSessionMessages',
  'subagent.getSession',
  'subagent.deleteSession',
  'events.onAgentEvent',
  'events.onSessionTranscriptUpdate',
  'logging.shouldLogVerbose',
  'logging.getChildLogger',
  'state.resolveStateDir',
  'modelAuth.getApiKeyForModel',
  'modelAuth.resolveApiKeyForProvider',
  'channel.session.resolveStorePath',
]);

/** The members of that line's `api.runtime` that this version does not have, as paths below `api.runtime`. */
export function unavailableRuntimeMembers(): string[] {
  return RUNTIME_MEMBERS.trim()
    .split('\n')
    .flatMap((line) => {
      const [namespace, ...names] = line.split(' ');
      return names.map((name) => `${namespace}.${name}`);
    })
    .filter((path) => !OFFERED.has(path));
}

/**
 * `api.runtime` with every member of that line. Those that Durar does not have throw `DUR_EXT_NOT_AVAILABLE` when they are called, not
 * before; names that the line does not know stay absent, so that a plugin can ask for what only later lines have.
 */
export function completeRuntime(runtime: PluginRuntime, note: (member: string) => void): PluginRuntime {
  const complete: Record<string, unknown> = { ...runtime, subagent: { ...runtime.subagent, getSession: runtime.subagent.getSessionMessages } };
  for (const path of unavailableRuntimeMembers()) {
    const names = path.split('.');
    const last = names.pop() as string;
    let place = complete;
    for (const name of names) {
      // Own copies all the way down: the runtime itself belongs to the host. Getters such as `agent.defaults` stay getters.
      const copy = Object.defineProperties({}, Object.getOwnPropertyDescriptors(place[name] ?? {})) as Record<string, unknown>;
      Object.defineProperty(place, name, { value: copy, enumerable: true, configurable: true });
      place = copy;
    }
    place[last] = refuse(`api.runtime.${path}`, note);
  }
  return complete as unknown as PluginRuntime;
}

/** A function that only says that it is not there. */
export function refuse(member: string, note: (member: string) => void, hint?: string): () => never {
  return () => {
    note(member);
    throw durarError('DUR_EXT_NOT_AVAILABLE', { member }, hint === undefined ? {} : { hint });
  };
}
