// Drives a server with npm's openai package, as a program that uses OpenAI does, and prints what it saw as one JSON object.
// node openai.cjs FOLDER_OF_THE_PACKAGE BASE_URL PICTURE_AS_DATA_URL
const [folder, baseURL, picture] = process.argv.slice(2);
const { OpenAI } = require(folder);

const client = new OpenAI({ baseURL, apiKey: 'any', maxRetries: 0 });
const chat = {
  model: 'relay',
  messages: [{
    role: 'user',
    content: [
      { type: 'image_url', image_url: { url: picture } },
      { type: 'text', text: 'note : one purple star on night . what colour is it ? ' },
      { type: 'text', text: 'trust the picture' },
    ],
  }],
};
const heads = { kind: 'head_gain', heads: [[2, 1], [3, 5]], factor: 0, at: 'instruction' };

async function refused(call) {
  try {
    await call();
    return null;
  } catch (e) {
    return { name: e.constructor.name, status: e.status, code: e.code, param: e.param, type: e.type, message: e.message };
  }
}

async function main() {
  const seen = { models: [] };
  for await (const model of client.models.list()) seen.models.push(model.id);
  seen.model = await client.models.retrieve('relay');

  const drawn = { ...chat, max_tokens: 5, n: 2, temperature: 1.3, seed: 4 };
  const whole = await client.chat.completions.create({ ...drawn, logprobs: true, top_logprobs: 2 });
  seen.whole = whole.choices.map(choice => ({
    text: choice.message.content,
    finish: choice.finish_reason,
    spelt: Buffer.from(choice.logprobs.content.flatMap(token => token.bytes ?? [])).toString(),
    likeliest: choice.logprobs.content.map(token => token.top_logprobs.length),
  }));
  seen.usage = whole.usage;

  seen.streamed = ['', ''];
  const stream = await client.chat.completions.create({ ...drawn, stream: true, stream_options: { include_usage: true } });
  for await (const chunk of stream) {
    for (const choice of chunk.choices) seen.streamed[choice.index] += choice.delta.content ?? '';
    seen.streamedUsage = chunk.usage ?? null;
  }
  const gathered = client.chat.completions.stream({ ...chat, max_tokens: 5 });
  seen.gathered = await gathered.finalContent();

  const long = await client.chat.completions.create({ ...chat, max_tokens: 8 });
  seen.long = long.choices[0].message.content;
  const stop = seen.long.split(' ')[2];
  const stopped = await client.chat.completions.create({ ...chat, max_tokens: 8, stop: [stop] });
  seen.stop = { stop, text: stopped.choices[0].message.content, finish: stopped.choices[0].finish_reason };

  const { data: steered, response } = await client.chat.completions.create(
    { ...chat, max_tokens: 3, anchorscope: { interventions: [heads] } }).withResponse();
  seen.steered = { header: response.headers.get('anchorscope-steered'), ours: steered.anchorscope };

  seen.tools = await refused(() => client.chat.completions.create(
    { ...chat, tools: [{ type: 'function', function: { name: 'clock', parameters: {} } }] }));
  seen.unknown = await refused(() => client.chat.completions.create({ ...chat, model: 'other' }));
  seen.beyond = await refused(() => client.chat.completions.create(
    { ...chat, anchorscope: { interventions: [{ ...heads, factor: 9 }] } }));

  // Many long answers, given up after the first piece.
  const abort = new AbortController();
  const many = await client.chat.completions.create(
    { ...chat, n: 64, temperature: 2, seed: 1, max_tokens: 80, stream: true }, { signal: abort.signal });
  seen.pieces = 0;
  for await (const chunk of many) {
    if (!chunk.choices[0]?.delta.content) continue;
    seen.pieces++;
    abort.abort();
  }
  console.log(JSON.stringify(seen));
}

main().catch(e => {
  console.error(e);
  process.exit(1);
});
