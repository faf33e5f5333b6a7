using System.Net;
using AnchorScope.Server.Api;
using Microsoft.AspNetCore.Http;

namespace AnchorScope.Server.Security;

/// <summary>Decides who a request comes from and what it may do.</summary>
/// <param name="keys">The keys; null: everybody may do everything, which is allowed on this machine only.</param>
internal sealed class Access(KeyRing? keys)
{
    private const string Item = "anchorscope-key";

    private static readonly ServerKey Local = new("local", Role.Admin, "");

    /// <summary>Refuses an address that others can reach if there are no keys.</summary>
    /// <exception cref="InputException">Others could use the server without a key.</exception>
    public void CheckAddress(string url)
    {
        if (keys is not null) return;
        if (!Uri.TryCreate(url, UriKind.Absolute, out var address))
            throw InputException.At("--urls", "url", "an address such as http://127.0.0.1:8080", url);
        if (address.Host is not "localhost" && !(IPAddress.TryParse(address.Host.Trim('[', ']'), out var ip) && IPAddress.IsLoopback(ip)))
            throw InputException.At("--urls", url, "an address of this machine alone, or --keys with an address that others reach",
                "no keys");
    }

    /// <summary>Finds the key of a request.</summary>
    /// <exception cref="ApiException">It needs one and has none that is known.</exception>
    public void Enter(HttpContext context)
    {
        // A probe of an orchestrator has no key and learns nothing.
        if (context.Request.Path == "/health/live") return;
        context.Items[Item] = keys is null ? Local : keys.Find(context.Request.Headers.Authorization)
            ?? throw new ApiException(401, "authorization: expected Bearer and a key of this server", code: "invalid_api_key");
    }

    /// <summary>The key of a request; null if it was not let in.</summary>
    public static ServerKey? KeyOf(HttpContext context) => context.Items[Item] as ServerKey;

    /// <summary>Refuses a request whose key does not have a role.</summary>
    /// <param name="what">What the request wants, for the message.</param>
    /// <exception cref="ApiException">The key may not do it.</exception>
    public static ServerKey Require(HttpContext context, Role role, string what)
    {
        var key = KeyOf(context)!;
        return key.May(role) ? key : throw new ApiException(403,
            $"{what}: needs a key of the role {EnumName.Of(role)}, found {EnumName.Of(key.Role)}", code: "role_missing");
    }
}
