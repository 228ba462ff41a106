// What the tests of Node's client libraries share: TAP lines, rows whose order by
// each operator is known, and what makes the objects of them.
import { readFileSync } from 'node:fs';
import { isDeepStrictEqual, inspect } from 'node:util';

// By id. Half precision holds all elements exactly, and no two rows have the same
// distance from the query by any operator.
export const vectors = { 1: [1, 2, 3], 2: [4, 5, 6.5], 3: [-2, 0.5, 3], 4: [0.25, 7, -1], 5: null };
export const query = [1, 2, 2.5];
export const bits = { 1: '11100', 2: '10001', 3: '10010', 4: '11010', 5: null };
export const bitQuery = '11101';
export const ids = Object.keys(vectors).map(Number);

export const vectorOperators = {
  '<->': 'vector_l2_ops',
  '<#>': 'vector_ip_ops',
  '<=>': 'vector_cosine_ops',
  '<+>': 'vector_l1_ops',
};
export const bitOperators = { '<~>': 'bit_hamming_ops', '<%>': 'bit_jaccard_ops' };

const sum = (a, b, term) => Array.from(a).reduce((total, x, i) => total + term(Number(x), Number(b[i])), 0);
const dot = (a, b) => sum(a, b, (x, y) => x * y);
const distances = {
  '<->': (a, b) => Math.sqrt(sum(a, b, (x, y) => (x - y) ** 2)),
  '<#>': (a, b) => -dot(a, b),
  '<=>': (a, b) => 1 - dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b)),
  '<+>': (a, b) => sum(a, b, (x, y) => Math.abs(x - y)),
  '<~>': (a, b) => sum(a, b, (x, y) => Math.abs(x - y)),
  '<%>': (a, b) => 1 - dot(a, b) / sum(a, b, Math.max),
};

// The ids of all rows that are not NULL, nearest to the query first.
export function nearest(operator) {
  const [rows, from] = operator in bitOperators ? [bits, bitQuery] : [vectors, query];
  const of = (id) => distances[operator](rows[id], from);
  const found = ids.filter((id) => rows[id] !== null);
  if (new Set(found.map(of)).size !== found.length) throw new Error(`ties by ${operator}`);
  return found.sort((a, b) => of(a) - of(b));
}

export const distance = (operator, id) => distances[operator](vectors[id], query);

// An index for each operator, and ivfflat; in items (id, embedding, half, bits).
export function indexes(table = 'items') {
  return [
    ...Object.values(vectorOperators).map((opclass) => `CREATE INDEX ON ${table} USING hnsw (embedding ${opclass})`),
    ...Object.values(bitOperators).map((opclass) => `CREATE INDEX ON ${table} USING hnsw (bits ${opclass})`),
    `CREATE INDEX ON ${table} USING ivfflat (half halfvec_l2_ops) WITH (lists = 1)`,
  ];
}

let count = 0;
let failures = 0;

export function check(name, got, wanted) {
  count += 1;
  if (isDeepStrictEqual(got, wanted)) {
    console.log(`ok ${count} - ${name}`);
  } else {
    failures += 1;
    const lines = `   got: ${inspect(got, { depth: 5 })}\nwanted: ${inspect(wanted, { depth: 5 })}`;
    console.log(`not ok ${count} - ${name}\n${lines.replace(/^/gm, '# ')}`);
  }
}

// Where the library computes in float4 or rounds, and JavaScript does not.
export function checkNear(name, got, wanted) {
  check(name, Math.abs(got - wanted) <= 1e-6 * Math.abs(wanted) ? wanted : got, wanted);
}

// Takes a plan as rows of EXPLAIN.
export function checkUses(name, plan, index) {
  const text = plan.map((row) => row['QUERY PLAN']).join('\n');
  check(name, text.includes(index) ? index : text, index);
}

// The error's SQLSTATE and message; `where` finds the driver's error in the library's.
export async function checkError(name, statement, where = (error) => error) {
  let got = null;
  try {
    await statement();
  } catch (error) {
    const { code, message } = where(error);
    got = [code, message];
  }
  check(name, got, ['22000', 'expected 3 dimensions, not 2']);
}

// A socket's directory as a host, for libraries that want an address.
export function url() {
  const { PGUSER, PGHOST, PGDATABASE } = process.env;
  return `postgresql://${PGUSER}@${encodeURIComponent(PGHOST)}/${PGDATABASE}`;
}

const versions = JSON.parse(readFileSync(new URL('package.json', import.meta.url))).dependencies;

// Runs a test. An exception is a failed test.
export async function run(names, test) {
  console.log(`# ${names.map((name) => `${name} ${versions[name]}`).join(', ')}, Node ${process.version}`);
  try {
    await test();
  } catch (error) {
    check('no exception', error, null);
  }
  console.log(`1..${count}`);
  process.exit(failures ? 1 : 0);
}
