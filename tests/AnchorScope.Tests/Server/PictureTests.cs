using System.Net;
using AnchorScope.Prompts;
using AnchorScope.Server.Api;

namespace AnchorScope.Tests.Server;

/// <summary>Pictures of requests: how large they may be, and from where they are fetched.</summary>
public sealed class PictureTests
{
    private const string Place = "messages[0].content[0].image_url.url";

    /// <summary>
    /// A small file can have a picture that becomes huge: the shorter side is resized to that of the model. It is refused by its header.
    /// </summary>
    [Theory]
    [InlineData(43000, 1, "too long and thin: the longer side may be 50 times the shorter one")]
    [InlineData(1, 51, "too long and thin")]
    [InlineData(8000, 4001, "above the limit of 32000000 pixels")]
    public async Task APictureBeyondTheLimits_IsRefused_BeforeItIsDecoded(int width, int height, string message)
    {
        await using var server = await RunningServer.Start();
        var file = new Picture(1, 1, [1, 2, 3]).ToPng();
        System.Buffers.Binary.BinaryPrimitives.WriteInt32BigEndian(file.AsSpan(16), width);
        System.Buffers.Binary.BinaryPrimitives.WriteInt32BigEndian(file.AsSpan(20), height);
        System.Buffers.Binary.BinaryPrimitives.WriteUInt32BigEndian(file.AsSpan(29),
            PngCrc.Of(file.AsSpan(12, 17)));
        var chat = RunningServer.Chat("data:image/png;base64," + Convert.ToBase64String(file), "note", "trust the picture");
        var (status, json) = await server.Post("/v1/chat/completions", chat);
        var error = json.GetProperty("error");
        Assert.Equal((HttpStatusCode.BadRequest, Place), (status, error.GetProperty("param").GetString()));
        Assert.Contains(message, error.GetProperty("message").GetString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task TooManyPictures_AreRefused()
    {
        await using var server = await RunningServer.Start();
        var parts = Enumerable.Repeat<object>(new { type = "image_url", image_url = new { url = RunningServer.Picture() } }, 33);
        var (status, json) = await server.Post("/v1/chat/completions",
            new { model = "relay", messages = new[] { new { role = "user", content = parts } } });
        Assert.Equal((HttpStatusCode.BadRequest, "too_many_pictures"), (status, json.GetProperty("error").GetProperty("code").GetString()));
    }

    /// <summary>No picture is fetched unless the operator names its host.</summary>
    [Fact]
    public async Task WithoutHosts_NothingIsFetched()
    {
        await using var server = await RunningServer.Start();
        var (status, json) = await server.Post("/v1/chat/completions", RunningServer.Chat("http://example.org/x.png", "note", "trust"));
        Assert.Equal((HttpStatusCode.BadRequest, "invalid_image_url"), (status, json.GetProperty("error").GetProperty("code").GetString()));
        await using var other = await RunningServer.Start(options => options with { PictureHosts = ["pictures.example"] });
        (status, json) = await other.Post("/v1/chat/completions", RunningServer.Chat("http://example.org/x.png", "note", "trust"));
        Assert.Equal((HttpStatusCode.Forbidden, "host_not_allowed"), (status, json.GetProperty("error").GetProperty("code").GetString()));
    }

    [Theory]
    [InlineData("127.0.0.1", false)]
    [InlineData("10.1.2.3", false)]
    [InlineData("172.16.0.1", false)]
    [InlineData("172.32.0.1", true)]
    [InlineData("192.168.1.1", false)]
    [InlineData("169.254.169.254", false)]
    [InlineData("100.64.0.1", false)]
    [InlineData("0.0.0.0", false)]
    [InlineData("224.0.0.1", false)]
    [InlineData("255.255.255.255", false)]
    [InlineData("8.8.8.8", true)]
    [InlineData("::1", false)]
    [InlineData("::", false)]
    [InlineData("::ffff:127.0.0.1", false)]
    [InlineData("::ffff:8.8.8.8", true)]
    [InlineData("::7f00:1", false)]
    [InlineData("fe80::1", false)]
    [InlineData("fd00::1", false)]
    [InlineData("2002:7f00:1::", false)]
    [InlineData("64:ff9b::7f00:1", false)]
    [InlineData("2606:4700::1", true)]
    public void OnlyAddressesOfTheInternet_AreReached(string address, bool expected) =>
        Assert.Equal(expected, PictureFetcher.IsPublic(IPAddress.Parse(address)));

    [Theory]
    [InlineData("https://pictures.example")]
    [InlineData("pictures.example/")]
    [InlineData("a b")]
    [InlineData("")]
    public void AHostThatIsNone_IsRefused(string host) =>
        Assert.Contains("--picture-hosts", Assert.Throws<InputException>(() => new PictureFetcher([host], 1000)).Message,
            StringComparison.Ordinal);

    /// <summary>Even a host that the operator allows is not reached at an address of this machine, also behind a redirect.</summary>
    [Fact]
    public async Task AnAllowedHost_WithAPrivateAddress_IsNotReached()
    {
        await using var site = await Site.Start();
        using var fetcher = new PictureFetcher([site.Host], 1000);
        var refused = await Assert.ThrowsAsync<ApiException>(() => fetcher.Fetch(site.Url + "/picture", Place, default));
        Assert.Contains("127.0.0.1 has an address that is not public", refused.Message, StringComparison.Ordinal);
        Assert.Equal(0, site.Requests);
    }

    [Theory]
    [InlineData("/picture", null)]
    [InlineData("/redirect", null)]
    [InlineData("/elsewhere", "expected a host that the operator allows, found other.example")]
    [InlineData("/file", "expected data:image/...;base64,... or an http(s) address")]
    [InlineData("/loop", "redirected more than 3 times")]
    [InlineData("/long", "it is longer than 1000 bytes")]
    [InlineData("/missing", "its server answered 404")]
    public async Task AFetchedPicture_IsWhatTheHostHas(string path, string? error)
    {
        await using var site = await Site.Start();
        using var fetcher = new PictureFetcher([site.Host], 1000, _ => true);
        if (error is null) Assert.Equal(new byte[] { 1, 2, 3 }, await fetcher.Fetch(site.Url + path, Place, default));
        else Assert.Contains(error, (await Assert.ThrowsAsync<ApiException>(() => fetcher.Fetch(site.Url + path, Place, default))).Message,
            StringComparison.Ordinal);
    }

    /// <summary>A web site on this machine.</summary>
    private sealed class Site : IAsyncDisposable
    {
        private readonly HttpListener _listener = new();
        private Task _loop = Task.CompletedTask;
        private int _requests;

        public string Host { get; private set; } = "";

        public string Url => "http://" + Host;

        public int Requests => _requests;

        public static Task<Site> Start()
        {
            using (var free = new System.Net.Sockets.TcpListener(IPAddress.Loopback, 0))
            {
                free.Start();
                var site = new Site { Host = free.LocalEndpoint.ToString()! };
                free.Stop();
                site._listener.Prefixes.Add(site.Url + "/");
                site._listener.Start();
                site._loop = site.Answer();
                return Task.FromResult(site);
            }
        }

        public async ValueTask DisposeAsync()
        {
            _listener.Close();
            await _loop;
        }

        private async Task Answer()
        {
            try
            {
                while (true)
                {
                    var context = await _listener.GetContextAsync();
                    Interlocked.Increment(ref _requests);
                    var (path, response) = (context.Request.Url!.AbsolutePath, context.Response);
                    if (path is "/redirect") response.Redirect("/picture");
                    else if (path is "/loop") response.Redirect("/loop");
                    else if (path is "/elsewhere") response.Redirect("http://other.example/picture");
                    else if (path is "/file") response.Redirect("file:///etc/passwd");
                    else if (path is "/missing") response.StatusCode = 404;
                    else await response.OutputStream.WriteAsync(path is "/long" ? new byte[5000] : [1, 2, 3]);
                    response.Close();
                }
            }
            catch (Exception e) when (e is HttpListenerException or ObjectDisposedException)
            {
                // The test has ended.
            }
        }
    }
}
