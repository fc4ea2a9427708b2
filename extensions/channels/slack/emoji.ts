import { SlackError } from './failure.ts';

/** Slack knows emoji by names; these are the ones that are reacted with most. */
const NAMES: Readonly<Record<string, string>> = {
  '👍': 'thumbsup',
  '👎': 'thumbsdown',
  '👀': 'eyes',
  '❤': 'heart',
  '🔥': 'fire',
  '🎉': 'tada',
  '✅': 'white_check_mark',
  '✔': 'heavy_check_mark',
  '❌': 'x',
  '⏳': 'hourglass_flowing_sand',
  '⌛': 'hourglass',
  '🙏': 'pray',
  '👏': 'clap',
  '🙌': 'raised_hands',
  '💯': '100',
  '🚀': 'rocket',
  '🤔': 'thinking_face',
  '😂': 'joy',
  '🤣': 'rolling_on_the_floor_laughing',
  '😄': 'smile',
  '😊': 'blush',
  '😍': 'heart_eyes',
  '😢': 'cry',
  '😮': 'open_mouth',
  '😱': 'scream',
  '😎': 'sunglasses',
  '🤝': 'handshake',
  '👌': 'ok_hand',
  '👋': 'wave',
  '💪': 'muscle',
  '⚠': 'warning',
  '❓': 'question',
  '❗': 'exclamation',
  '💡': 'bulb',
  '📌': 'pushpin',
  '🔁': 'repeat',
  '🤖': 'robot_face',
  '⭐': 'star',
  '✨': 'sparkles',
  '🐛': 'bug',
  '🛑': 'octagonal_sign',
  '🤷': 'shrug',
};

/** `👍`, `:thumbsup:` or `thumbsup`, as Slack's name for it; a name may be one of the workspace's own. */
export function emojiName(emoji: string): string {
  const bare = emoji.trim().replaceAll('\ufe0f', '');
  const name = NAMES[bare] ?? /^:?([a-z0-9_+'-]+(?:::skin-tone-[2-6])?):?$/.exec(bare)?.[1];
  if (name !== undefined) return name;
  throw new SlackError('SLACK_EMOJI', `Slack's name for '${emoji}' is not known`, { hint: 'Give the name that Slack shows for it, such as thumbsup.' });
}
