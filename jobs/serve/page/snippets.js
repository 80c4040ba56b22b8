/* A request as a command of curl and as Python; the key stays in the environment. */
import { APP, baseUrl } from "./api.js";

const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;

export const curlOf = (input) =>
  [
    `curl ${quoted(`${baseUrl}/apps/run`)}`,
    '-H "Authorization: Bearer $USO_API_KEY"',
    "-H 'Content-Type: application/json'",
    `-d ${quoted(JSON.stringify({ app: APP, input }))}`,
  ].join(" \\\n  ");

export const pythonOf = (input) =>
  `import os

from inferencesh import inference

client = inference(api_key=os.environ["USO_API_KEY"], base_url=${JSON.stringify(baseUrl)})
given = ${literal(input)}
print(client.run({"app": ${JSON.stringify(APP)}, "input": given})["output"])
`;

/** A JSON value as Python writes it. */
function literal(value, indent = "") {
  if (value === null) return "None";
  if (typeof value === "boolean") return value ? "True" : "False";
  if (typeof value !== "object") return JSON.stringify(value);
  const deeper = `${indent}    `;
  const items = Array.isArray(value)
    ? value.map((each) => literal(each, deeper))
    : Object.entries(value).map(([name, each]) => `${JSON.stringify(name)}: ${literal(each, deeper)}`);
  const [open, close] = Array.isArray(value) ? "[]" : "{}";
  if (!items.length) return open + close;
  return `${open}\n${items.map((item) => `${deeper}${item},\n`).join("")}${indent}${close}`;
}
