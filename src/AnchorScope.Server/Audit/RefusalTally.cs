using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;

namespace AnchorScope.Server.Audit;

/// <summary>
/// Requests without a valid key, counted by address until the next record of them, so that nobody without a key can fill the disk: a
/// few addresses are told apart, all others are counted together.
/// </summary>
internal sealed class RefusalTally(TimeProvider time)
{
    /// <summary>Addresses that are told apart in one minute.</summary>
    private const int Most = 16;

    // Of an address only a keyed hash is kept: the same within a run of the server, and not to be found by trying all addresses.
    private readonly byte[] _secret = RandomNumberGenerator.GetBytes(32);
    private readonly Lock _lock = new();
    private Dictionary<string, (long Count, DateTimeOffset First, DateTimeOffset Last)> _counts = [];

    /// <summary>Counts one.</summary>
    public void Add(string address)
    {
        var name = Convert.ToHexStringLower(HMACSHA256.HashData(_secret, Encoding.UTF8.GetBytes(address)))[..16];
        var now = time.GetUtcNow();
        lock (_lock)
        {
            if (!_counts.ContainsKey(name) && _counts.Count >= Most) name = "others";
            var (count, first, _) = _counts.GetValueOrDefault(name, (0, now, now));
            _counts[name] = (count + 1, first, now);
        }
    }

    /// <summary>What was counted since the last time, as members of records.</summary>
    public IReadOnlyList<JsonObject> Take()
    {
        Dictionary<string, (long Count, DateTimeOffset First, DateTimeOffset Last)> counts;
        lock (_lock) (counts, _counts) = (_counts, []);
        return [.. counts.OrderBy(entry => entry.Key, StringComparer.Ordinal).Select(entry => new JsonObject
        {
            ["address_hash"] = entry.Key,
            ["count"] = entry.Value.Count,
            ["first"] = entry.Value.First.ToString("O", System.Globalization.CultureInfo.InvariantCulture),
            ["last"] = entry.Value.Last.ToString("O", System.Globalization.CultureInfo.InvariantCulture),
        })];
    }
}
