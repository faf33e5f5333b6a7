#!/usr/bin/env bash
# check-packages.sh [FOLDER]: makes all packages, installs the tool into an empty folder and uses the library and the chat client from a project of its own.
# With FOLDER, the packages have the version that the git tags give and stay there, the very files that were checked. Without it nothing
# stays. Needs the .NET SDK and NuGet.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
export DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_NOLOGO=1
temporary=$(mktemp -d)
version=
packages=

forget() { # takes this version of all packages out of NuGet's cache
    local cache=${NUGET_PACKAGES:-$HOME/.nuget/packages}
    if [ -z "$version" ]; then return; fi
    rm -rf "$cache/anchorscope/${version,,}" "$cache/anchorscope.tool/${version,,}" "$cache/anchorscope.extensions.ai/${version,,}"
    rmdir "$cache/anchorscope" "$cache/anchorscope.tool" "$cache/anchorscope.extensions.ai" 2> /dev/null || true
}

leave() { # packages that failed are not kept
    if [ $? -ne 0 ] && [ -n "$packages" ]; then rm -f "$packages"/*.nupkg "$packages"/*.snupkg; fi
    forget
    rm -rf "$temporary"
}

trap leave EXIT
if [ $# -gt 0 ]; then
    mkdir -p "$1"
    if [ -n "$(ls -A "$1")" ]; then echo "check-packages: $1: expected an empty folder" >&2; exit 1; fi
    packages=$(cd "$1" && pwd)
    versioned=()
else
    packages=$temporary/packages
    # A version that no cache has.
    version=0.0.1-check.$(date +%s)
    versioned=(-p:MinVerSkip=true -p:Version="$version")
fi

fail() {
    echo "check-packages: $1" >&2
    if [ -s "$temporary/log" ]; then tail -n 40 "$temporary/log" >&2; fi
    exit 1
}

try() { # WHAT COMMAND...: runs it quietly
    local what=$1
    shift
    "$@" > "$temporary/log" 2>&1 < /dev/null || fail "$what failed: $*"
}

holds() { # TEXT: the last output has it
    grep -qF -- "$1" "$temporary/log" || fail "expected \"$1\" in the output"
}

for project in AnchorScope AnchorScope.Extensions.AI AnchorScope.Cli; do
    try "packing $project" dotnet pack "$root/src/$project" -c Release -o "$packages" --artifacts-path "$temporary/built" "${versioned[@]}"
    if grep -q "warning" "$temporary/log"; then fail "packing $project gave a warning"; fi
done
if [ -z "$version" ]; then
    version=$(cd "$packages" && ls AnchorScope.Tool.*.snupkg)
    version=${version#AnchorScope.Tool.}
    version=${version%.snupkg}
    # Another build of this version may be in the cache.
    forget
fi
# Between tags the program calls itself what Directory.Build.props says: src/Directory.Build.targets.
named=$version
if [[ $version =~ -alpha\.0(\.[0-9]+)?$|-.*\.[0-9]+\.[0-9]+$ ]]; then
    named=$(sed -n 's:.*<VersionPrefix>\(.*\)</VersionPrefix>.*:\1:p' "$root/Directory.Build.props")
fi
for package in AnchorScope AnchorScope.Extensions.AI AnchorScope.Tool; do
    for file in $package.$version.nupkg $package.$version.snupkg; do
        [ -f "$packages/$file" ] || fail "there is no $file"
    done
done

mkdir "$temporary/empty"
cd "$temporary/empty"
try "installing the tool" dotnet tool install AnchorScope.Tool --version "$version" --tool-path "$temporary/tool" --add-source "$packages"
ascope=$temporary/tool/ascope
try "ascope --help" "$ascope" --help
holds diagnose
try "ascope --version" "$ascope" --version
holds "$named"
try "ascope inspect" "$ascope" inspect "$root/models/relay"
holds d_model
try "ascope diagnose with the model and the conflicts in the package" "$ascope" diagnose --dry-run
holds organism-conflicts

mkdir "$temporary/consumer"
cd "$temporary/consumer"
cat > consumer.csproj << END
<Project Sdk="Microsoft.NET.Sdk">
  <PropertyGroup>
    <OutputType>Exe</OutputType>
    <TargetFramework>net10.0</TargetFramework>
    <ImplicitUsings>enable</ImplicitUsings>
    <Nullable>enable</Nullable>
    <TreatWarningsAsErrors>true</TreatWarningsAsErrors>
    <RestoreAdditionalProjectSources>$packages</RestoreAdditionalProjectSources>
  </PropertyGroup>
  <ItemGroup>
    <PackageReference Include="AnchorScope" Version="$version" />
    <PackageReference Include="AnchorScope.Extensions.AI" Version="$version" />
  </ItemGroup>
</Project>
END
cp "$root/samples/FirstReading/Program.cs" .
try "a project that uses the library" dotnet build -o "$temporary/consumer/built"
# The sample names its model and its picture from the root of the repository.
cd "$root"
try "the first sample with the package" dotnet "$temporary/consumer/built/consumer.dll"
holds "answer: green"
cp "$root/samples/ChatClient/Program.cs" "$temporary/consumer/Program.cs"
try "a project that uses the chat client" dotnet build -o "$temporary/consumer/built" "$temporary/consumer"
try "the sample of the chat client with the package" dotnet "$temporary/consumer/built/consumer.dll"
holds "follows vision"
message=$(tail -n 1 "$temporary/log")
echo "packages $version: built, installed and used ($message)"
