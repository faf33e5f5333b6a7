using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using AnchorScope.Checkpoints;

namespace AnchorScope.Server.Security;

/// <summary>What the holder of a key may do.</summary>
internal enum Role
{
    /// <summary>Ask for text.</summary>
    Infer,

    /// <summary>Also change the model inside, within the policy.</summary>
    Steer,

    /// <summary>Also turn the knobs of the policy.</summary>
    Operator,

    /// <summary>Read the record and the state of the server, and nothing else.</summary>
    Audit,

    /// <summary>Everything.</summary>
    Admin,
}

/// <summary>A key of a server. The key itself is not kept.</summary>
/// <param name="Name">Who holds it.</param>
/// <param name="Sha256">Of the key.</param>
internal sealed record ServerKey(string Name, Role Role, string Sha256)
{
    /// <summary>When it stops to count; null: never.</summary>
    public DateTimeOffset? Expires { get; init; }

    /// <summary>Requests for text a minute; null: what the server says.</summary>
    public int? RequestsPerMinute { get; init; }

    /// <summary>Whether its holder may do what a role may.</summary>
    public bool May(Role wanted) => Role == Role.Admin || Role == wanted
        || (wanted == Role.Infer && Role is Role.Steer or Role.Operator) || (wanted == Role.Steer && Role == Role.Operator);
}

/// <summary>
/// The keys of a server: <c>{"version": 1, "keys": [{"name", "role", "sha256", "expires", "requests_per_minute"}]}</c>, the last two
/// optional.
/// </summary>
internal sealed class KeyRing(IReadOnlyList<ServerKey> keys)
{
    private const string Prefix = "ask-";
    private const int MostRequests = 1_000_000;

    private static readonly string[] Members = ["name", "role", "sha256", "expires", "requests_per_minute"];

    /// <summary>The keys.</summary>
    public IReadOnlyList<ServerKey> Keys => keys;

    /// <summary>Reads a file of keys.</summary>
    /// <exception cref="InputException">It is wrong, or has no key.</exception>
    public static KeyRing Load(string path)
    {
        var root = new JsonField(path, "", StrictJson.Read(path));
        root.Get("version").Integer(1, 1);
        ServerKey[] read = [.. root.Get("keys").Items().Select(key => Key(key, path))];
        if (read.Length == 0) throw root.Get("keys").Expected("at least one key");
        return read.GroupBy(key => key.Name).FirstOrDefault(group => group.Count() > 1) is { } same
            ? throw root.Get("keys").Expected($"another name for each key than {Quoted.Line(same.Key)}") : new KeyRing(read);
    }

    /// <summary>Adds a key to a file, which is made if it is missing.</summary>
    /// <param name="added">Its name, role and limits; its hash is made here.</param>
    /// <returns>The key, which is told only now.</returns>
    /// <exception cref="InputException">The file is wrong, or has a key of this name.</exception>
    public static string Add(string path, ServerKey added)
    {
        var old = File.Exists(path) ? Load(path).Keys : [];
        if (string.IsNullOrWhiteSpace(added.Name)) throw InputException.At("--name", "name", "at least one character", "none");
        if (old.Any(key => key.Name == added.Name))
            throw InputException.At(path, "name", "another name than those of the keys that are there", added.Name);
        var key = Prefix + Convert.ToBase64String(RandomNumberGenerator.GetBytes(32)).TrimEnd('=').Replace('+', '-').Replace('/', '_');
        Write(path, [.. old, added with { Sha256 = Digest.Of(Encoding.UTF8.GetBytes(key)) }]);
        return key;
    }

    /// <inheritdoc cref="Add(string, ServerKey)"/>
    public static string Add(string path, string name, Role role) => Add(path, new ServerKey(name, role, ""));

    /// <summary>Removes a key from a file: a server that runs refuses it from the next second on.</summary>
    /// <exception cref="InputException">The file is wrong, has no such key, or has no other: a file without keys is refused.</exception>
    public static void Remove(string path, string name)
    {
        var old = Load(path).Keys;
        ServerKey[] left = [.. old.Where(key => key.Name != name)];
        if (left.Length == old.Count)
            throw InputException.At(path, "name", $"one of {string.Join(", ", old.Select(key => key.Name))}", name);
        if (left.Length == 0) throw InputException.At(path, "keys", "another key beside the one that is removed", "none");
        Write(path, left);
    }

    /// <summary>The key that a request has; null if it has none that is known. It takes the same time whichever key is wrong.</summary>
    /// <param name="authorization">The header of this name.</param>
    public ServerKey? Find(string? authorization)
    {
        const string Bearer = "Bearer ";
        if (authorization is null || !authorization.StartsWith(Bearer, StringComparison.OrdinalIgnoreCase)) return null;
        var hash = Encoding.ASCII.GetBytes(Digest.Of(Encoding.UTF8.GetBytes(authorization[Bearer.Length..].Trim())));
        ServerKey? found = null;
        foreach (var key in keys)
        {
            if (CryptographicOperations.FixedTimeEquals(hash, Encoding.ASCII.GetBytes(key.Sha256))) found = key;
        }
        return found;
    }

    private static ServerKey Key(JsonField key, string path)
    {
        foreach (var (name, field) in key.Members())
        {
            if (!Members.Contains(name)) throw InputException.At(path, field.Path, string.Join(", ", Members), "an unknown member");
        }
        return new ServerKey(key.Get("name").Text(), EnumName.Parse<Role>($"{path}: {key.Path}.role", key.Get("role").Text()),
            Hash(key.Get("sha256")))
        {
            Expires = key.Find("expires") is not { } until ? null
                : DateTimeOffset.TryParse(until.Text(), CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out var time) ? time
                : throw until.Expected("a time such as 2027-01-31T00:00:00Z"),
            RequestsPerMinute = key.Find("requests_per_minute")?.Integer(1, MostRequests),
        };
    }

    private static string Hash(JsonField field) =>
        field.Text() is { Length: 64 } text && text.All(char.IsAsciiHexDigitLower)
            ? text : throw field.Expected("a SHA-256 in hexadecimal");

    private static void Write(string path, IReadOnlyList<ServerKey> keys)
    {
        var options = new FileStreamOptions { Mode = FileMode.Create, Access = FileAccess.Write };
        if (!OperatingSystem.IsWindows()) options.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;
        var written = string.Create(CultureInfo.InvariantCulture, $"{path}.tmp");
        using (var stream = new FileStream(written, options))
        using (var json = new Utf8JsonWriter(stream, new JsonWriterOptions { Indented = true }))
        {
            json.WriteStartObject();
            json.WriteNumber("version", 1);
            json.WriteStartArray("keys");
            foreach (var key in keys)
            {
                json.WriteStartObject();
                json.WriteString("name", key.Name);
                json.WriteString("role", EnumName.Of(key.Role));
                json.WriteString("sha256", key.Sha256);
                if (key.Expires is { } until)
                    json.WriteString("expires", until.ToString("yyyy-MM-dd'T'HH:mm:ss'Z'", CultureInfo.InvariantCulture));
                if (key.RequestsPerMinute is { } most) json.WriteNumber("requests_per_minute", most);
                json.WriteEndObject();
            }
            json.WriteEndArray();
            json.WriteEndObject();
        }
        File.Move(written, path, overwrite: true);
    }
}
