// Each call of WaveSpeedAI's JavaScript client; run as `node SCRIPT URL KEY PICTURE ORIGIN`.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import wavespeed from 'wavespeed';

const [url, key, picture, origin] = process.argv.slice(2);
const { Client } = wavespeed;
const client = new Client(key, { baseUrl: `${url}/`, retryInterval: 0.05 });
const inline = 'data:image/png;base64,' + readFileSync(picture).toString('base64');
const small = { prompt: 'a cat', size: '32*32', num_inference_steps: 1, reference_images: [inline] };
const model = 'bytedance/uso';
const quick = { pollInterval: 0.05 };

async function isImage(outputs) {
  assert.equal(outputs.length, 1);
  const answer = await fetch(outputs[0]);
  assert.equal(answer.headers.get('content-type'), 'image/png');
  assert.ok((await answer.arrayBuffer()).byteLength > 50);
}

await isImage((await client.run(model, small, quick)).outputs);
await isImage((await client.run(model, small, { enableSyncMode: true })).outputs);

const uploaded = await client.upload(picture);
await isImage((await client.run(model, { ...small, reference_images: [uploaded] }, quick)).outputs);
await isImage((await client.run(model, { ...small, images: [uploaded], seed: 0 }, quick)).outputs);

const done = await client.runNoThrow(model, small, quick);
assert.equal(done.detail.status, 'completed');
await isImage(done.outputs);

const refused = await client.runNoThrow(model, { ...small, reference_images: [] }, quick);
assert.equal(refused.outputs, null);
assert.match(refused.detail.error.message, /reference_images: give 1 to 4/);

await assert.rejects(client.run('bytedance/other', small), /there is no model/);
await assert.rejects(new Client('nope', { baseUrl: url }).run(model, small), /HTTP 401/);

// A failure for good is submitted once, although its URL holds the words of one that may pass.
const gone = { ...small, reference_images: [`${origin}/429/timeout-connection.png`] };
await assert.rejects(client.run(model, gone, { ...quick, maxRetries: 2 }), /404/);
// This one is there at the third attempt.
const late = { ...small, reference_images: [`${origin}/late.png`] };
await isImage((await client.run(model, late, { ...quick, maxRetries: 2 })).outputs);
console.log('ok');
