using System.Collections.Concurrent;
using System.Security.Cryptography;
using System.Text;
using AnchorScope.Server.Api;
using AnchorScope.Server.Security;
using Microsoft.AspNetCore.Http;

namespace AnchorScope.Server.Pages;

/// <summary>Somebody who uses the pages.</summary>
/// <param name="Token">Sent with every form, so that no other site can send one.</param>
/// <param name="Ends">When the key has to be shown again.</param>
internal sealed record PageSession(ServerKey Key, string Token, DateTimeOffset Ends);

/// <summary>
/// Who uses the pages. A key that was shown once is exchanged for a random cookie that scripts cannot read and other sites cannot send. The
/// cookie's hash is kept in memory, the key is not.
/// </summary>
/// <param name="access">Knows the keys.</param>
internal sealed class PageSessions(Access access, TimeProvider time)
{
    public const string Cookie = "anchorscope";
    private const int Most = 1024;
    private static readonly TimeSpan Length = TimeSpan.FromHours(8);

    private readonly ConcurrentDictionary<string, PageSession> _sessions = new(StringComparer.Ordinal);
    private readonly PageSession _local = new(Access.Local, Random(), DateTimeOffset.MaxValue);

    /// <summary>The session of a request; null: a key has to be shown first.</summary>
    public PageSession? Of(HttpContext context)
    {
        if (!access.HasKeys) return _local;
        if (context.Request.Cookies[Cookie] is not { Length: > 0 } cookie || !_sessions.TryGetValue(Hash(cookie), out var session))
            return null;
        // A key that was removed or has expired ends its sessions, too.
        if (session.Ends > time.GetUtcNow() && access.Holds(session.Key)) return session;
        _sessions.TryRemove(Hash(cookie), out _);
        return null;
    }

    /// <summary>Begins a session and sets its cookie.</summary>
    /// <returns>Whether the key is one of this server.</returns>
    public bool Begin(HttpContext context, string key)
    {
        if (access.Find(key.Trim()) is not { } found) return false;
        foreach (var (old, session) in _sessions)
        {
            if (session.Ends <= time.GetUtcNow()) _sessions.TryRemove(old, out _);
        }
        // Whoever has a key could begin sessions without end.
        while (_sessions.Count >= Most) _sessions.TryRemove(_sessions.MinBy(pair => pair.Value.Ends).Key, out _);
        var cookie = Random();
        _sessions[Hash(cookie)] = new PageSession(found, Random(), time.GetUtcNow() + Length);
        context.Response.Cookies.Append(Cookie, cookie, new CookieOptions
        {
            HttpOnly = true,
            SameSite = SameSiteMode.Strict,
            Path = "/",
            // Behind a proxy with TLS the connection to this server is plain.
            Secure = context.Request.IsHttps || context.Request.Headers.Origin.ToString().StartsWith("https:", StringComparison.Ordinal),
            MaxAge = Length,
        });
        return true;
    }

    /// <summary>Ends the session of a request.</summary>
    public void End(HttpContext context)
    {
        if (context.Request.Cookies[Cookie] is { Length: > 0 } cookie) _sessions.TryRemove(Hash(cookie), out _);
        context.Response.Cookies.Delete(Cookie);
    }

    /// <summary>Refuses a form that another site has sent, or that was made for another session.</summary>
    /// <param name="session">Null: nobody has shown a key yet, and the form is that for showing it.</param>
    /// <exception cref="ApiException">It was not sent from a page of this server.</exception>
    public static void CheckForm(HttpContext context, IFormCollection form, PageSession? session)
    {
        var own = Uri.TryCreate(context.Request.Headers.Origin, UriKind.Absolute, out var origin)
            && origin.Authority == new UriBuilder(origin.Scheme + "://" + context.Request.Host.Value).Uri.Authority;
        if (!own)
            throw new ApiException(403, "this form was not sent from a page of this server, so nothing was done", code: "other_origin");
        if (session is null) return;
        if (!CryptographicOperations.FixedTimeEquals(Encoding.UTF8.GetBytes(session.Token),
            Encoding.UTF8.GetBytes(form["token"].ToString())))
            throw new ApiException(403, "this page is older than your login, so nothing was done; load it again", code: "old_form");
    }

    private static string Random() => Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(32));

    private static string Hash(string cookie) => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(cookie)));
}
