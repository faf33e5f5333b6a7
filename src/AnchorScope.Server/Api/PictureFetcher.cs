using System.Net;
using System.Net.Sockets;

namespace AnchorScope.Server.Api;

/// <summary>
/// Fetches pictures from hosts that the operator named, and from no others. Names are resolved first, and only public addresses are
/// connected to, at every redirect: so no request reads what only this machine or its network can reach.
/// </summary>
internal sealed class PictureFetcher : IDisposable
{
    private const int MostRedirects = 3;
    private static readonly TimeSpan Time = TimeSpan.FromSeconds(10);

    private static readonly IPNetwork[] Private =
    [
        .. new[]
        {
            "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24",
            "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
            "::/96", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "2001::/23", "2001:db8::/32", "2002::/16", "fc00::/7", "fe80::/10",
            "fec0::/10", "ff00::/8",
        }.Select(network => IPNetwork.Parse(network)),
    ];

    private readonly HashSet<string> _hosts;
    private readonly long _mostBytes;
    private readonly Func<IPAddress, bool> _mayReach;
    private readonly HttpClient _client;

    /// <param name="hosts">Names of hosts, each with a port if it is not the usual one of its scheme.</param>
    /// <param name="mostBytes">Maximum number of bytes of a picture.</param>
    /// <param name="mayReach">Which addresses may be connected to; null: public ones.</param>
    /// <exception cref="InputException">An entry is no name of a host.</exception>
    public PictureFetcher(IReadOnlyList<string> hosts, long mostBytes, Func<IPAddress, bool>? mayReach = null)
    {
        foreach (var host in hosts)
        {
            if (!Uri.TryCreate("http://" + host, UriKind.Absolute, out var url)
                || !url.Authority.Equals(host, StringComparison.OrdinalIgnoreCase))
                throw InputException.At("--picture-hosts", "host", "a name such as pictures.example or pictures.example:8443",
                    Checkpoints.Quoted.Line(host));
        }
        (_hosts, _mostBytes, _mayReach) = (new(hosts, StringComparer.OrdinalIgnoreCase), mostBytes, mayReach ?? IsPublic);
        _client = new HttpClient(new SocketsHttpHandler
        {
            AllowAutoRedirect = false, UseProxy = false, UseCookies = false, ConnectTimeout = Time, ConnectCallback = Connect,
        }) { Timeout = Time };
        _client.DefaultRequestHeaders.UserAgent.ParseAdd("ascope");
    }

    /// <summary>Whether an address is one of the internet, and not of this machine, a private network or a special use.</summary>
    public static bool IsPublic(IPAddress address)
    {
        var plain = address.IsIPv4MappedToIPv6 ? address.MapToIPv4() : address;
        return !Array.Exists(Private, network => network.BaseAddress.AddressFamily == plain.AddressFamily && network.Contains(plain));
    }

    /// <summary>The bytes at an address.</summary>
    /// <param name="place">Its place in the request, for errors.</param>
    /// <exception cref="ApiException">The host is not allowed, or the picture cannot be had.</exception>
    public async Task<byte[]> Fetch(string address, string place, CancellationToken cancel)
    {
        var url = Allowed(address, null, place);
        try
        {
            for (var redirects = 0; ; redirects++)
            {
                using var response = await _client.GetAsync(url, HttpCompletionOption.ResponseHeadersRead, cancel);
                if ((int)response.StatusCode is >= 300 and < 400 && response.Headers.Location is { } next)
                {
                    if (redirects == MostRedirects) throw Unreachable(place, $"it is redirected more than {MostRedirects} times");
                    url = Allowed(next.ToString(), url, place);
                    continue;
                }
                if (!response.IsSuccessStatusCode) throw Unreachable(place, $"its server answered {(int)response.StatusCode}");
                return await Read(response, place, cancel);
            }
        }
        catch (Exception e) when (e is HttpRequestException or IOException)
        {
            throw Unreachable(place, e.InnerException is PrivateAddressException inner ? inner.Message : e.Message);
        }
        catch (OperationCanceledException) when (!cancel.IsCancellationRequested)
        {
            throw Unreachable(place, $"it took longer than {Time.TotalSeconds} s");
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _client.Dispose();

    private Uri Allowed(string address, Uri? from, string place)
    {
        if (!(from is null ? Uri.TryCreate(address, UriKind.Absolute, out var url) : Uri.TryCreate(from, address, out url))
            || url.Scheme is not ("https" or "http") || url.UserInfo.Length > 0)
            throw new ApiException(400, $"{place}: expected data:image/...;base64,... or an http(s) address, found something else", place,
                "invalid_image_url");
        return _hosts.Contains(url.Authority) ? url : throw new ApiException(403,
            $"{place}: expected a host that the operator allows, found {Checkpoints.Quoted.Line(url.Authority)}",
            place, "host_not_allowed");
    }

    private async Task<byte[]> Read(HttpResponseMessage response, string place, CancellationToken cancel)
    {
        // The time limit of the client ends with the headers.
        using var slow = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        slow.CancelAfter(Time);
        using var body = await response.Content.ReadAsStreamAsync(slow.Token);
        using var bytes = new MemoryStream();
        var buffer = new byte[1 << 16];
        while (await body.ReadAsync(buffer, slow.Token) is > 0 and var count)
        {
            if (bytes.Length + count > _mostBytes) throw Unreachable(place, $"it is longer than {_mostBytes} bytes");
            bytes.Write(buffer, 0, count);
        }
        return bytes.ToArray();
    }

    /// <summary>
    /// Resolves a name and connects to what it resolved to: a name that means something else a moment later is no way around.
    /// </summary>
    private async ValueTask<Stream> Connect(SocketsHttpConnectionContext context, CancellationToken cancel)
    {
        var addresses = await Dns.GetHostAddressesAsync(context.DnsEndPoint.Host, cancel);
        if (addresses.Length == 0 || !addresses.All(_mayReach))
            throw new PrivateAddressException($"{context.DnsEndPoint.Host} has an address that is not public");
        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        try
        {
            await socket.ConnectAsync(addresses, context.DnsEndPoint.Port, cancel);
            return new NetworkStream(socket, ownsSocket: true);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    private static ApiException Unreachable(string place, string why) =>
        new(422, $"{place}: the picture cannot be fetched: {why}", place, "image_unreachable");

    /// <summary>A host that is not reached, because its address is not public.</summary>
    private sealed class PrivateAddressException(string message) : IOException(message);
}
