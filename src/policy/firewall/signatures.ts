/** Where a signature is looked for: in values of the query, in values of the body, or in the names of either. */
export type Place = 'query' | 'body' | 'key';

/** A named rule of the firewall. */
export interface Signature {
  /** Stable: clients, metrics and the log name it. */
  readonly id: string;
  readonly attack: 'sqli' | 'nosqli' | 'path-traversal' | 'crlf' | 'nul';
  readonly places: readonly Place[];
  /**
   * Has no global or sticky flag, and takes linear time: each repetition begins behind a literal that its own characters
   * exclude, or is bounded, and no two repetitions in a row share a character.
   */
  readonly pattern: RegExp;
  /** What it finds, and what it must leave alone. */
  readonly reason: string;
  /** Applies to free text, too, because it can harm whatever stores it. */
  readonly sparesNothing?: true;
}

const values: readonly Place[] = ['query', 'body'];
const everywhere: readonly Place[] = ['query', 'body', 'key'];

/**
 * The injection signatures. They are a second wall: every query is parameterised and no value becomes a path or a
 * header, so a signature that hits an honest client costs more than one that misses an attack. Each therefore asks for
 * the *grammar* of an attack (a quote that closes, an operator, a comment that cuts off the rest), never for a word.
 */
export const signatures: readonly Signature[] = [
  {
    id: 'nul-byte',
    attack: 'nul',
    places: everywhere,
    pattern: /\0/,
    reason: 'No text holds U+0000: Postgres cannot store it, and C code behind us would end there',
    sparesNothing: true,
  },
  {
    id: 'sqli-tautology',
    attack: 'sqli',
    places: everywhere,
    pattern:
      /\b(?:or|and|xor|where|having)[\s(]+(?:(['"`]?)(\w{1,40})\1?[\s)]*={1,3}[\s(]*\1\2|(['"`])(\w{0,40})\3[\s)]*(?:={1,3}|like\b)[\s(]*\3\4)(?!\w|\.\d)/i,
    reason: "`or 1=1`, `or 'a'='a`: the same literal on both sides; \"1 or 2 = fine\" compares two different ones",
  },
  {
    id: 'sqli-symbol-tautology',
    attack: 'sqli',
    places: everywhere,
    pattern: /['"`)]\s*(?:\|\||&&)[\s(]*(['"`]?)(\w{1,40})\1?\s*={1,3}[\s(]*\1\2(?!\w)/i,
    reason: "`' || '1'=='1`: the same with symbols, in SQL and in JavaScript that runs inside a database",
  },
  {
    id: 'sqli-quote-comparison',
    attack: 'sqli',
    places: everywhere,
    pattern:
      /['"`][\s)]*(?:\b(?:or|and|xor)\b|\|\||&&)[\s(]*(?:not\b[\s(]*)?\d{1,10}\s*(?:[=<>!]{1,3}|\b(?:like|in|between)\b)[\s(]*['"`]?\d/i,
    reason: "A closing quote, then a comparison of numbers: `' or 2>1`",
  },
  {
    id: 'sqli-quote-comment',
    attack: 'sqli',
    places: values,
    pattern: /^[^']*(?:'[^']*'[^']*)*'[\s);]*(?:--[\s+-]*$|#\s*$|\/\*)/,
    reason:
      "`admin'--`: an odd quote that closes the program's string, then a comment to the end; \"it's 'fine'--\" has its pairs",
  },
  {
    id: 'sqli-double-quote-comment',
    attack: 'sqli',
    places: values,
    pattern: /^[^"]*(?:"[^"]*"[^"]*)*"[\s);]*(?:--[\s+-]*$|#\s*$|\/\*)/,
    reason: 'The same with a double quote',
  },
  {
    id: 'sqli-condition-comment',
    attack: 'sqli',
    places: values,
    pattern:
      /(?:['"`][\s)]*(?:\b(?:or|and)\b|\|\||&&)|['"`)\d]\s+(?:order|group)\s+by\b|['"`)\d]\s+having\b)[^'"`;#\n-]{1,60}(?:--[\s+-]*$|#\s*$|\/\*)/i,
    reason: "`' or true--`, `1 order by 10--`: a condition whose rest is cut off by a comment at the very end",
  },
  {
    id: 'sqli-union',
    attack: 'sqli',
    places: everywhere,
    pattern:
      /\bunion[\s(]+(?:(?:all|distinct)[\s(]+)?select[\s(]+(?:null\b|@@|\*|'|\d{1,10}\s*(?:$|[,;)#|]|--|from\b)|\w{1,40}\(|\w{1,40}(?:\s*(?:,|\|\|)\s*\w{1,40}){0,30}\s+from\s+\w)/i,
    reason: '`union select` with a column list behind it; "Union Square" and "the Union Select Committee" have none',
  },
  {
    id: 'sqli-stacked-definition',
    attack: 'sqli',
    places: everywhere,
    pattern:
      /;\s*(?:drop\s+(?:table|database|schema|view|index|user|role|function|trigger)\s+(?:if\s+exists\s+)?["`\w.]{1,80}\s*(?:$|[;,]|--|\/\*|#|cascade\b)|truncate\s+(?:table\s+)?["`\w.]{1,80}\s*(?:;|--)|alter\s+(?:table|user|role|database)\s+["`\w.]{1,80}\s+(?:add|drop|rename|with|set|owner|disable)\b|create\s+table\s+["`\w.]{1,80}\s*(?:as\s+select\b|\(\s*["`\w]{1,80}\s+(?:int|text|varchar|char|serial|bigint|uuid|date|bool|json))|grant\s+\w{1,40}\s+(?:on|to)\s+\w{1,80}\s+to\b|shutdown\s*(?:;|--|with\b))/i,
    reason:
      'A second statement behind `;` that changes tables, with the object it needs; "drop me a line; thanks" has none',
  },
  {
    id: 'sqli-stacked-change',
    attack: 'sqli',
    places: everywhere,
    pattern:
      /;\s*(?:insert\s+into\s+["`\w.]{1,80}\s*(?:\([^()]{1,200}\)\s*)?(?:values\s*\(|select\s)|delete\s+from\s+["`\w.]{1,80}\s*(?:;|--|#|where\s+\w{1,40}\s*[=<>])|update\s+["`\w.]{1,80}\s+set\s+["`\w.]{1,80}\s*=|select\s+(?:\*|\w{1,40}\()|exec(?:ute)?\s+(?:xp_|sp_|immediate\b|\()|copy\s+\w{1,80}\s+(?:from|to)\s+(?:program\b|')|declare\s+@|waitfor\s+(?:delay|time)\s+['"])/i,
    reason:
      'A second statement behind `;` that reads, writes or runs; "free; select a date from the list" names no table',
  },
  {
    id: 'sqli-function',
    attack: 'sqli',
    places: everywhere,
    pattern:
      /\b(?:pg_sleep(?:_for|_until)?\s*\(|sleep\(\s*\d{1,6}\s*\)|benchmark\(\s*\d{1,12}\s*,|waitfor\s+delay\s+['"]|xp_cmdshell\b|load_file\s*\(\s*['"0]|into\s+(?:out|dump)file\s+['"]|(?:extractvalue|updatexml)\s*\([^)]{0,40},|dbms_(?:pipe|lock|xmlgen)\.|utl_(?:http|inaddr)\.|pg_read_(?:binary_)?file\s*\(|lo_(?:import|export)\s*\(|dblink(?:_connect)?\s*\(\s*['"])/i,
    reason: 'Functions that wait, read files or call out, in the form of a call; "I sleep (badly)" is none',
  },
  {
    id: 'sqli-subquery',
    attack: 'sqli',
    places: everywhere,
    pattern:
      /(?:[=<>|,+*]|\b(?:and|or|not|when)\b)[\s(]*\(\s*select\s+(?:\*|(?:count|max|min|sum|ascii|char|cast|substr|substring|group_concat|string_agg|concat|version|database|sleep)\s*\()|(?:[=<>]|\|\||\bexists\b|\bconcat\b)[\s(]*\(\s*select\s+[\w."]{1,80}\s+from\s+[\w."]{1,80}\s*(?:\)|limit\b|where\b)/i,
    reason: 'A nested query where a value was expected; "(select a date from the list)" has no operator before it',
  },
  {
    id: 'sqli-catalogue',
    attack: 'sqli',
    places: everywhere,
    pattern:
      /\b(?:from|join)\s+(?:information_schema\.|pg_catalog\.|pg_shadow\b|pg_user\b|sqlite_master\b|mysql\.user\b|sysobjects\b|sys\.(?:tables|objects|columns)\b)|\/\*!(?:\d{5}|union\b|select\b)/i,
    reason: 'The tables in which databases describe themselves, and comments that only MySQL runs',
  },
  {
    id: 'nosqli-operator-name',
    attack: 'nosqli',
    places: ['key'],
    pattern: /(?:^|[[.])\$[a-z]/i,
    reason:
      '`{ "$gt": "" }`, `?password[$ne]=`: MongoDB takes a name that begins with `$` for an operator; none of our inputs has one',
  },
  {
    id: 'nosqli-operator',
    attack: 'nosqli',
    places: values,
    pattern:
      /[{[,]\s*['"]?\$(?:gte?|lte?|ne|eq|n?in|n?or|and|not|exists|type|regex|where|expr|mod|text|all|elemMatch|size|function|accumulator|jsonSchema|lookup|out|merge)['"]?\s*:/,
    reason: 'The same as JSON inside of a string; "{ $5: coffee }" names no operator',
  },
  {
    id: 'nosqli-script',
    attack: 'nosqli',
    places: values,
    pattern:
      /['"`]\s*;\s*(?:return\s+(?:true|1|this\b)|while\s*\(\s*(?:true|1)\s*\)|sleep\s*\(|db\.\w{1,40}\.(?:find|drop|insert|update|remove))/i,
    reason: 'JavaScript that closes the string of a `$where`',
  },
  {
    id: 'traversal-start',
    attack: 'path-traversal',
    places: everywhere,
    pattern: /^\s*\.\.[\\/]|(?:^|[\\/])\.{4}[\\/]{2}/,
    reason: 'A value that begins by climbing, or survives a filter that removes `../` once; an ellipsis has no slash',
  },
  {
    id: 'traversal-run',
    attack: 'path-traversal',
    places: everywhere,
    pattern: /\.\.[\\/]{1,2}\.\.(?:[\\/]|$)/,
    reason: 'Two steps up in a row; one step inside of a link, as in Markdown, is ordinary',
  },
  {
    id: 'traversal-encoded',
    attack: 'path-traversal',
    places: everywhere,
    pattern: /(?:%2e|\.)(?:%2e|\.)(?:%2f|%5c|%c0%af|%c1%9c)|%2e%2e[\\/]|%(?:25)+2e%(?:25)+2e/i,
    reason: 'A step up that is still escaped after decoding: it waits for a reader who decodes twice',
  },
  {
    id: 'traversal-target',
    attack: 'path-traversal',
    places: everywhere,
    pattern:
      /(?:^|file:\/{2,3}|\.\.)[\\/]{0,2}(?:etc[\\/](?:passwd|shadow|sudoers)\b|proc[\\/]self[\\/]|windows[\\/]win\.ini\b|boot\.ini\b)/i,
    reason: 'The files that every scanner asks for, as a path; "the /etc folder" is ordinary',
  },
  {
    id: 'crlf-query',
    attack: 'crlf',
    places: ['query', 'key'],
    pattern: /\r/,
    reason: 'A carriage return in one line of input, or in a name: only a header needs one',
  },
  {
    id: 'crlf-header',
    attack: 'crlf',
    places: values,
    pattern:
      /[\r\n][ \t]*(?:set-cookie2?\s*:\s*[\w-]{1,80}=|content-(?:length|type|disposition)\s*:|transfer-encoding\s*:|location\s*:\s*(?:https?:)?\/\/|access-control-[a-z-]{1,40}\s*:|http\/\d|bcc\s*:\s*\S{1,80}@|rcpt to\s*:)/i,
    reason: 'A line that would be a header of ours or of a mail; "Location: room 5" in an address is ordinary',
  },
  {
    id: 'crlf-encoded',
    attack: 'crlf',
    places: everywhere,
    pattern: /%0d%0a|%0d%250a|%250d%250a|%e5%98%8a%e5%98%8d/i,
    reason: 'A line break that is still escaped after decoding',
  },
];

/** What any signature needs to hit: a text without it is passed over unread. A test holds every attack against it. */
export const suspicious =
  /[\0\r\n'"`;()<>=|*#%${}\\]|--|\.\.|^[\\/]|\b(?:union|from|join|xp_cmdshell|dbms_|utl_|etc|boot|proc|windows)/i;

/** The same for a query as it came: what is escaped or unusual is decoded and looked at, the rest cannot hit. */
export const suspiciousQuery = /[^\w\-.~&=:,@?]|\.\.|--|xp_cmdshell|dbms_|utl_|boot\.ini/i;
