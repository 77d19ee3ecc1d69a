//! What is known of programming languages.

/// One language.
#[derive(Debug)]
pub(super) struct Language {
    names: &'static [&'static str],
    pub(super) keywords: &'static [&'static str],
    pub(super) line_comments: &'static [&'static str],
    pub(super) block_comments: &'static [(&'static str, &'static str)],
    /// What begins and ends a text, longest first.
    pub(super) quotes: &'static [&'static str],
    /// Texts that may go over several lines.
    long: &'static [&'static str],
    /// Whether a backslash in a text takes the next character with it.
    pub(super) escapes: bool,
    /// Whether large and small letters are the same in keywords.
    pub(super) folds: bool,
    /// Whether a quote may begin a name.
    pub(super) lifetimes: bool,
    /// Keys and values, no calls.
    pub(super) data: bool,
}

impl Language {
    /// Whether a text that these characters end may go over several lines.
    pub(super) fn runs_on(&self, close: &str) -> bool {
        self.long.contains(&close)
    }
}

/// The language of this name or file ending, in small letters.
pub(super) fn find(name: &str) -> Option<&'static Language> {
    LANGUAGES.iter().find(|language| language.names.contains(&name))
}

const PLAIN: Language = Language {
    names: &[],
    keywords: &[],
    line_comments: &["//"],
    block_comments: &[("/*", "*/")],
    quotes: &["\"", "'"],
    long: &[],
    escapes: true,
    folds: false,
    lifetimes: false,
    data: false,
};

const HASH: Language = Language { line_comments: &["#"], block_comments: &[], ..PLAIN };

#[rustfmt::skip]
static LANGUAGES: &[Language] = &[
    Language {
        names: &["rust", "rs"],
        keywords: &["as", "async", "await", "break", "const", "continue", "crate", "dyn", "else", "enum", "extern", "false", "fn", "for", "if", "impl", "in", "let", "loop", "match", "mod", "move", "mut", "pub", "ref", "return", "self", "Self", "static", "struct", "super", "trait", "true", "type", "unsafe", "use", "where", "while"],
        long: &["\""], lifetimes: true, ..PLAIN
    },
    Language {
        names: &["python", "py", "python3", "pyi", "starlark"],
        keywords: &["and", "as", "assert", "async", "await", "break", "case", "class", "continue", "def", "del", "elif", "else", "except", "False", "finally", "for", "from", "global", "if", "import", "in", "is", "lambda", "match", "None", "nonlocal", "not", "or", "pass", "raise", "return", "True", "try", "while", "with", "yield"],
        quotes: &["\"\"\"", "'''", "\"", "'"], long: &["\"\"\"", "'''"], ..HASH
    },
    Language {
        names: &["javascript", "js", "jsx", "mjs", "cjs", "typescript", "ts", "tsx", "mts", "svelte", "vue"],
        keywords: &["abstract", "any", "as", "async", "await", "boolean", "break", "case", "catch", "class", "const", "continue", "declare", "default", "delete", "do", "else", "enum", "export", "extends", "false", "finally", "for", "from", "function", "if", "implements", "import", "in", "instanceof", "interface", "let", "namespace", "new", "null", "number", "of", "private", "protected", "public", "readonly", "return", "satisfies", "static", "string", "super", "switch", "this", "throw", "true", "try", "type", "typeof", "undefined", "unknown", "var", "void", "while", "yield"],
        quotes: &["`", "\"", "'"], long: &["`"], ..PLAIN
    },
    Language {
        names: &["sh", "bash", "zsh", "shell", "console", "ksh", "fish", "shellscript"],
        keywords: &["alias", "break", "case", "cd", "continue", "declare", "do", "done", "echo", "elif", "else", "esac", "eval", "exec", "exit", "export", "fi", "for", "function", "if", "in", "local", "read", "return", "set", "shift", "source", "sudo", "then", "trap", "unset", "until", "while"],
        long: &["\"", "'"], ..HASH
    },
    Language {
        names: &["go", "golang"],
        keywords: &["any", "break", "bool", "case", "chan", "const", "continue", "default", "defer", "else", "error", "fallthrough", "false", "for", "func", "go", "goto", "if", "import", "int", "interface", "map", "nil", "package", "range", "return", "select", "string", "struct", "switch", "true", "type", "var"],
        quotes: &["`", "\"", "'"], long: &["`"], ..PLAIN
    },
    Language {
        names: &["c", "h", "cpp", "c++", "cc", "hpp", "cxx", "objc", "objective-c", "cuda", "arduino"],
        keywords: &["alignas", "auto", "bool", "break", "case", "catch", "char", "class", "const", "constexpr", "continue", "default", "define", "delete", "do", "double", "else", "endif", "enum", "explicit", "extern", "false", "float", "for", "friend", "goto", "if", "ifdef", "ifndef", "include", "inline", "int", "long", "namespace", "new", "noexcept", "nullptr", "NULL", "operator", "override", "private", "protected", "public", "return", "short", "signed", "sizeof", "static", "struct", "switch", "template", "this", "throw", "true", "try", "typedef", "typename", "union", "unsigned", "using", "virtual", "void", "volatile", "while"],
        ..PLAIN
    },
    Language {
        names: &["java", "kotlin", "kt", "kts", "scala", "groovy", "gradle", "csharp", "cs", "c#", "swift", "dart", "zig"],
        keywords: &["abstract", "as", "async", "await", "boolean", "bool", "break", "case", "catch", "class", "const", "continue", "data", "def", "default", "defer", "do", "double", "else", "enum", "export", "extends", "extension", "false", "final", "finally", "float", "fn", "for", "foreach", "fun", "func", "guard", "if", "implements", "import", "in", "init", "instanceof", "int", "interface", "internal", "is", "let", "lock", "long", "match", "mut", "namespace", "new", "nil", "null", "object", "override", "package", "private", "protected", "protocol", "public", "readonly", "record", "return", "sealed", "self", "static", "string", "struct", "super", "switch", "this", "throw", "throws", "trait", "true", "try", "using", "val", "var", "virtual", "void", "when", "where", "while", "with", "yield"],
        quotes: &["\"\"\"", "\"", "'"], long: &["\"\"\""], ..PLAIN
    },
    Language {
        names: &["ruby", "rb", "crystal", "elixir", "ex", "exs"],
        keywords: &["alias", "and", "begin", "break", "case", "class", "def", "defmodule", "defp", "do", "else", "elsif", "end", "ensure", "false", "fn", "for", "if", "in", "module", "next", "nil", "not", "or", "private", "raise", "require", "rescue", "return", "self", "super", "then", "true", "unless", "until", "when", "while", "yield"],
        ..HASH
    },
    Language {
        names: &["php"],
        keywords: &["abstract", "array", "as", "break", "case", "catch", "class", "const", "continue", "default", "do", "echo", "else", "elseif", "extends", "false", "final", "fn", "for", "foreach", "function", "if", "implements", "interface", "match", "namespace", "new", "null", "private", "protected", "public", "return", "static", "switch", "this", "throw", "true", "try", "use", "while"],
        line_comments: &["//", "#"], ..PLAIN
    },
    Language {
        names: &["lua"],
        keywords: &["and", "break", "do", "else", "elseif", "end", "false", "for", "function", "goto", "if", "in", "local", "nil", "not", "or", "repeat", "return", "then", "true", "until", "while"],
        line_comments: &["--"], block_comments: &[("--[[", "]]")], ..PLAIN
    },
    Language {
        names: &["haskell", "hs", "elm", "purescript", "ocaml", "ml", "fsharp", "fs"],
        keywords: &["begin", "case", "class", "data", "deriving", "do", "else", "end", "exception", "forall", "fun", "function", "if", "import", "in", "instance", "let", "match", "module", "mutable", "newtype", "of", "open", "qualified", "rec", "sig", "struct", "then", "type", "val", "where", "with"],
        line_comments: &["--"], block_comments: &[("{-", "-}"), ("(*", "*)")], quotes: &["\""], ..PLAIN
    },
    Language {
        names: &["sql", "postgres", "postgresql", "mysql", "sqlite", "plsql"],
        keywords: &["add", "all", "alter", "and", "as", "asc", "begin", "between", "by", "case", "cascade", "check", "column", "commit", "constraint", "create", "database", "default", "delete", "desc", "distinct", "drop", "else", "end", "exists", "foreign", "from", "full", "group", "having", "if", "in", "index", "inner", "insert", "into", "is", "join", "key", "left", "like", "limit", "not", "null", "offset", "on", "or", "order", "outer", "primary", "references", "returning", "right", "rollback", "select", "set", "table", "then", "trigger", "union", "unique", "update", "using", "values", "view", "when", "where", "with"],
        line_comments: &["--"], long: &["'"], escapes: false, folds: true, ..PLAIN
    },
    Language {
        names: &["toml", "ini", "cfg", "conf", "properties", "env", "dotenv", "editorconfig"],
        keywords: &["false", "true"],
        quotes: &["\"\"\"", "'''", "\"", "'"], long: &["\"\"\"", "'''"], data: true, ..HASH
    },
    Language { names: &["yaml", "yml"], keywords: &["false", "no", "null", "off", "on", "true", "yes"], data: true, ..HASH },
    Language { names: &["json", "jsonc", "json5", "jsonl"], keywords: &["false", "null", "true"], quotes: &["\""], data: true, ..PLAIN },
    Language {
        names: &["hcl", "terraform", "tf", "nix", "proto", "protobuf", "graphql", "gql", "prisma"],
        keywords: &["data", "enum", "extend", "false", "fragment", "if", "implements", "import", "in", "inherit", "input", "interface", "let", "locals", "message", "model", "module", "mutation", "null", "oneof", "optional", "output", "package", "provider", "query", "repeated", "required", "resource", "rpc", "schema", "service", "syntax", "true", "type", "union", "variable", "with"],
        line_comments: &["//", "#"], ..PLAIN
    },
    Language {
        names: &["dockerfile", "docker", "containerfile"],
        keywords: &["add", "arg", "as", "cmd", "copy", "entrypoint", "env", "expose", "from", "healthcheck", "label", "onbuild", "run", "shell", "stopsignal", "user", "volume", "workdir"],
        folds: true, ..HASH
    },
    Language {
        names: &["makefile", "make", "mk", "cmake", "perl", "pl", "r", "julia", "jl", "powershell", "ps1", "just", "justfile"],
        keywords: &["break", "catch", "define", "do", "else", "elseif", "elsif", "end", "endif", "export", "false", "for", "foreach", "function", "if", "ifdef", "ifeq", "ifndef", "in", "include", "let", "library", "local", "module", "my", "next", "our", "param", "return", "sub", "then", "true", "try", "unless", "use", "using", "while"],
        ..HASH
    },
    Language { names: &["html", "xml", "svg", "xhtml", "astro"], line_comments: &[], block_comments: &[("<!--", "-->")], quotes: &["\""], escapes: false, long: &["\""], ..PLAIN },
    Language { names: &["css", "scss", "sass", "less"], keywords: &["and", "from", "important", "import", "media", "mixin", "include", "not", "to"], line_comments: &["// "], data: true, ..PLAIN },
];
