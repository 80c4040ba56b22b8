// Each call of inference.sh's JavaScript client; run as `node SCRIPT URL KEY PICTURE`.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { inference, TaskStatusCancelled, TaskStatusCompleted } from '@inferencesh/sdk';

const [url, key, picture] = process.argv.slice(2);
const bytes = readFileSync(picture);
const inline = 'data:image/png;base64,' + bytes.toString('base64');
const app = 'infsh/bytedance-uso';
const small = { prompt: 'a cat', width: 32, height: 32, num_steps: 1, content_long_size: 32 };
const streaming = inference({ apiKey: key, baseUrl: url });
const polling = inference({ apiKey: key, baseUrl: url, stream: false, pollIntervalMs: 50 });

async function isComplete(task) {
  assert.equal(task.status, TaskStatusCompleted);
  const image = task.output.generated_image;
  const answer = await fetch(image.uri);
  assert.equal(answer.headers.get('content-type'), image.content_type);
  assert.equal((await answer.arrayBuffer()).byteLength, image.size);
}

for (const client of [streaming, polling]) {
  const updates = [];
  const onUpdate = (task) => updates.push(task.status);
  await isComplete(await client.run({ app, input: { ...small, content_image: inline } }, { onUpdate }));
  assert.equal(updates.at(-1), TaskStatusCompleted);
  await isComplete(await client.run({ app, input: { ...small, style_image: new Blob([bytes]) } }));

  const task = await client.run({ app, input: small }, { wait: false });
  assert.ok(task.status < TaskStatusCompleted);
  assert.equal((await client.tasks.get(task.id)).data.id, task.id);

  await assert.rejects(client.run({ app, input: { ...small, width: 33 } }), (error) => {
    assert.equal(error.statusCode, 422);
    assert.match(error.message, /input\.width: 33 is not accepted/);
    return true;
  });
  await assert.rejects(
    client.run({ app, input: { ...small, content_image: 'https://no.such.host.invalid/a.png' } }),
    /host/,
  );
}

const uploaded = await streaming.files.upload(new Blob([bytes], { type: 'image/png' }));
const file = uploaded.data ?? uploaded;
await isComplete(await streaming.run({ app, input: { ...small, content_image: file.uri } }));
await isComplete(await streaming.run({ app, input: { ...small, content_image: file } }));

// The server draws one at a time: the last one waits.
const long = { ...small, num_steps: 50, width: 64, height: 64 };
const tasks = [];
for (let i = 0; i < 5; i += 1) tasks.push(await streaming.run({ app, input: long }, { wait: false }));
const waiting = tasks.at(-1);
const watched = assert.rejects(streaming.tasks.watch(waiting).done, /task cancelled/);
for (const task of tasks.reverse()) await streaming.tasks.cancel(task.id);
await watched;
assert.equal((await streaming.tasks.get(waiting.id)).data.status, TaskStatusCancelled);
await streaming.tasks.delete(waiting.id);
await assert.rejects(streaming.tasks.get(waiting.id), (error) => error.statusCode === 404);

const list = (await streaming.tasks.list()).data;
assert.ok(list.items.length > 5);
assert.equal((await streaming.apps.get(app)).data.name, 'bytedance-uso');
assert.equal((await streaming.apps.list()).data.items.length, 1);
assert.equal((await streaming.apps.listVersions(app)).data.items.length, 1);
assert.deepEqual((await streaming.sessions.list()).data, []);
await assert.rejects(streaming.sessions.get('none'), (error) => error.statusCode === 404);
const timings = (await streaming.tasks.getTimings(list.items[0].id)).data;
assert.ok(timings.total_duration_ms > 0);
assert.ok((await streaming.tasks.getLogs(list.items[0].id)).data.events.length > 1);

const stranger = inference({ apiKey: 'nope', baseUrl: url });
await assert.rejects(stranger.run({ app, input: small }), (error) => error.statusCode === 401);
await isComplete(await inference({ apiKey: key, baseUrl: `${url}/` }).run({ app, input: small }));
console.log('ok');
process.exit(0); // the client's timers would keep the process
