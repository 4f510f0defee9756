// Checks an AsyncAPI document: `node docs/check_contract.mjs FOLDER FILE`, where FOLDER has node_modules/@asyncapi/parser.
// Prints what is wrong and ends with 1 when anything is; warnings that are about style alone are passed over.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { resolve } from 'node:path';

const [folder, file] = process.argv.slice(2);
const { Parser } = createRequire(resolve(folder, 'package.json'))('@asyncapi/parser');
const { document, diagnostics } = await new Parser().parse(readFileSync(file, 'utf8'));
const ERROR = 0;
const WARNING = 1;
// What a reader does not need: where the newest version of the format is, whom to write to.
const STYLE = new Set(['asyncapi-latest-version', 'asyncapi-info-contact', 'asyncapi-info-license']);
const found = diagnostics.filter((each) => each.severity === ERROR || (each.severity === WARNING && !STYLE.has(each.code)));
for (const each of found) console.error(`${each.code}: ${each.path.join('.')}: ${each.message}`);
if (document === undefined || found.length > 0) process.exit(1);
const count = (collection) => collection.all().length;
console.log(`${file}: ${count(document.channels())} topics, ${count(document.messages())} messages, valid`);
