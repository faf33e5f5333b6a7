using System.Globalization;
using System.Text;
using System.Text.Json;
using AnchorScope.Server.Audit;
using AnchorScope.Server.Security;
using AnchorScope.Tests.Checkpoints;
using Microsoft.Playwright;

namespace AnchorScope.Tests.Server.Pages;

/// <summary>The pages in a browser, as people use them.</summary>
public sealed class PagesTests(Browser browser) : IClassFixture<Browser>, IDisposable
{
    private static readonly string[] Views = ["/", "/pages/decisions", "/pages/alerts", "/pages/knobs",
        "/pages/audit", "/pages/playground"];

    private readonly TempFolder _temp = new();

    /// <summary>Every view, wide and narrow, light and dark: nothing to scroll sideways, readable, and within the content security policy.
    /// With ASCOPE_SCREENSHOTS=FOLDER, pictures of them are written there.</summary>
    [BrowserFact]
    public async Task EveryView_IsReadable()
    {
        var folder = Environment.GetEnvironmentVariable("ASCOPE_SCREENSHOTS");
        await using var server = await Start();
        server.Server.Shown = () => MadeUp.Snapshot;
        for (var i = 0; i < 3; i++) await server.Post("/v1/chat/completions", RunningServer.Chat(("max_tokens", 4)));
        foreach (var width in new[] { 1280, 390 })
        foreach (var dark in new[] { false, true })
        {
            await using var tab = await browser.Open(server.Client.BaseAddress!.ToString(), width, dark);
            foreach (var path in Views)
            {
                await tab.Page.GotoAsync(path);
                await tab.See("h1", "");
                if (path.EndsWith("playground", StringComparison.Ordinal))
                {
                    await tab.Page.ClickAsync("button.strong");
                    await tab.See("#result", "of its attention");
                }
                if (path.EndsWith("audit", StringComparison.Ordinal))
                {
                    await tab.Page.ClickAsync("text=Verify the log");
                    await tab.See("#verified", "The log is whole.");
                }
                var faults = await Readable.Faults(tab.Page);
                Assert.True(faults.Length == 0, $"{path} at {width}, dark {dark}:\n{string.Join('\n', faults)}");
                // Folded tables are read too.
                await tab.Page.EvaluateAsync("() => document.querySelectorAll('details').forEach(d => d.open = true)");
                faults = await Readable.Faults(tab.Page);
                Assert.True(faults.Length == 0, $"{path} at {width}, dark {dark}, unfolded:\n{string.Join('\n', faults)}");
                if (folder is null) continue;
                await tab.Page.EvaluateAsync("() => document.querySelectorAll('details').forEach(d => d.open = false)");
                await tab.Page.ScreenshotAsync(new PageScreenshotOptions
                {
                    FullPage = true,
                    Path = Path.Combine(
                        folder, $"{(path == "/" ? "overview" : path.Split('/')[^1])}-{width}-{(dark ? "dark" : "light")}.png"),
                });
            }
            Assert.Empty(tab.Complaints);
        }
    }

    [BrowserFact]
    public async Task WithoutReadingsOrAPolicy_ThePagesSaySo()
    {
        await using var server = await RunningServer.Start();
        await using var tab = await browser.Open(server.Client.BaseAddress!.ToString(), 390);
        foreach (var (path, text) in new[] { ("/pages/decisions", "Nothing read yet"),
            ("/pages/alerts", "There is no profile to compare with"),
            ("/pages/knobs", "No knobs"),
            ("/pages/playground", "allows no change") })
        {
            await tab.Page.GotoAsync(path);
            await tab.See("main", text);
            Assert.Empty(await Readable.Faults(tab.Page));
        }
        await tab.Page.ClickAsync("button.strong");
        await tab.See("#result h2", "Answer");
        Assert.Equal(1, await tab.Page.Locator(".reply").CountAsync());
        Assert.Empty(tab.Complaints);
    }

    /// <summary>The overview changes by itself, and says when it no longer does.</summary>
    [BrowserFact]
    public async Task TheOverview_IsLive()
    {
        var server = await RunningServer.Start();
        await using var tab = await browser.Open(server.Client.BaseAddress!.ToString());
        await using (server)
        {
            await tab.Page.GotoAsync("/");
            await tab.See(".tiles", "Requests0");
            await tab.Page.ClickAsync("summary");
            await server.Post("/v1/chat/completions", RunningServer.Chat(("max_tokens", 3)));
            await server.Post("/v1/chat/completions", RunningServer.Chat(("n", 0)));
            await tab.See(".tiles", "Requests1answered, 1 refused");
            // What the reader has unfolded stays so.
            Assert.True(await tab.Page.Locator("details").GetAttributeAsync("open") is not null);
            Assert.False(await tab.Page.Locator("#stale").IsVisibleAsync());
            Assert.Empty(tab.Complaints);
            await server.Server.Stop();
        }
        await Assertions.Expect(tab.Page.Locator("#stale")).ToBeVisibleAsync(new LocatorAssertionsToBeVisibleOptions { Timeout = 20_000 });
    }

    /// <summary>A picture is dropped, the text is marked, heads are blocked: both answers with the numbers of the API.</summary>
    [BrowserFact]
    public async Task ThePlayground_ShowsBothAnswers()
    {
        await using var server = await Start();
        await using var tab = await browser.Open(server.Client.BaseAddress!.ToString());
        var page = tab.Page;
        await page.GotoAsync("/pages/playground");
        await page.ClickAsync("img[alt='four blue rings at sea']");
        await tab.See("#text0", "");
        Assert.Equal("text : the moon is pink , there are three , on night .", await page.InputValueAsync("#text0"));
        // Another picture, dropped.
        var bytes = Convert.ToBase64String(File.ReadAllBytes(Path.Combine(Fixtures.Conflicts, "images", "test-0009.png")));
        var drop = await page.EvaluateHandleAsync("""
            text => {
              const bytes = Uint8Array.from(atob(text), c => c.charCodeAt(0));
              const transfer = new DataTransfer();
              transfer.items.add(new File([bytes], 'ring.png', { type: 'image/png' }));
              return transfer;
            }
            """, bytes);
        await page.DispatchEventAsync("#drop", "drop", new { dataTransfer = drop });
        await Assertions.Expect(page.Locator("#preview")).ToHaveAttributeAsync("alt", "ring.png");
        Assert.StartsWith("data:image/png;base64,", await page.GetAttributeAsync("#preview", "src"), StringComparison.Ordinal);
        const string Note = "note : three pink ring on sea .", Question = "what colour is it ?",
            Instruction = "trust the note not the photo";
        foreach (var (index, text) in new[] { Note, Question, Instruction }.Index()) await page.FillAsync($"#text{index}", text);
        await page.FillAsync("#vision", "orange");
        await page.FillAsync("#text", "pink");
        await page.SelectOptionAsync("#change", "set:arbiters");
        await page.FillAsync("#value", "0");
        await page.ClickAsync("button.strong");
        await tab.See("#result", "With minus without".ToLowerInvariant());
        var words = $"{Note} {Question} {Instruction}";
        var chat = RunningServer.Chat("data:image/png;base64," + bytes, words, "");
        object Span(string part, string kind) => new { message = 0, part = 1, from = words.IndexOf(part, StringComparison.Ordinal),
            to = words.IndexOf(part, StringComparison.Ordinal) + part.Length, kind };
        async Task<JsonElement> Asked(object[] interventions)
        {
            chat["messages"] = new[] { new { role = "user", content = new object[]
                { new { type = "image_url", image_url = new { url = "data:image/png;base64," + bytes } }, new { type =
                "text", text = words } } } };
            chat["max_tokens"] = 4;
            chat["temperature"] = 0;
            chat["anchorscope"] = new
            {
                answers = new { vision = new[] { "orange" }, text = new[] { "pink" } }, report = new[] { "decision" }, interventions,
                spans = new[] { Span(Note, "text_context"), Span(Question, "question"), Span(Instruction, "instruction") },
            };
            return (await server.Post("/v1/chat/completions", chat)).Json;
        }
        var replies = page.Locator(".reply");
        Assert.Equal(2, await replies.CountAsync());
        foreach (var (index, edits) in new object[][] { [], [new { kind = "head_gain", set = "arbiters", factor = 0 }] }.Index())
        {
            var expected = await Asked(edits);
            var margin = expected.GetProperty("anchorscope").GetProperty("margin").GetDouble();
            var shown = await replies.Nth(index).InnerTextAsync();
            Assert.Contains(expected.GetProperty("choices")[0].GetProperty("message").GetProperty("content").GetString()!, shown,
                StringComparison.Ordinal);
            Assert.Contains(margin.ToString("+0.00;−0.00", CultureInfo.InvariantCulture) + " logits", shown, StringComparison.Ordinal);
        }
        Assert.Contains("3 heads in layers 2, 3", await replies.Nth(1).InnerTextAsync(), StringComparison.Ordinal);
        // Curves, heads, and what was looked at.
        Assert.Equal(3, await page.Locator("#result figure").CountAsync());
        Assert.Equal(8, await page.Locator("#result image").CountAsync());
        Assert.Empty(tab.Complaints);
        // An error is told in the page.
        await page.FillAsync("#value", "9");
        await page.ClickAsync("button.strong");
        await tab.See("#result .outcome", "the policy allows factors from 0 to 2, found 9");
        await page.SetInputFilesAsync(
            "#picture", new FilePayload { Name = "x.png", MimeType = "image/png", Buffer = "no picture"u8.ToArray() });
        await page.ClickAsync("button.strong");
        await tab.See("#result .outcome", "messages[0].content[0]");
    }

    /// <summary>Without a mouse: from the first page to a turned knob, which is in the log.</summary>
    [BrowserFact]
    public async Task AKnob_IsTurnedWithTheKeyboardAlone_AndLogged()
    {
        var state = _temp.File("state");
        await using (var server = await Start(state))
        {
            await using var tab = await browser.Open(server.Client.BaseAddress!.ToString());
            var page = tab.Page;
            async Task TabTo(string what)
            {
                for (var i = 0; i < 40; i++)
                {
                    await page.Keyboard.PressAsync("Tab");
                    if (await page.EvaluateAsync<bool>(
                        "what => { const e = document.activeElement; return e.textContent.trim() === what || "
                            + "e.labels?.[0]?.textContent === what; }", what))
                    {
                        // Where the keyboard is must be seen.
                        Assert.Equal(
                            "solid", await page.EvaluateAsync<string>("() => getComputedStyle(document.activeElement).outlineStyle"));
                        return;
                    }
                }
                Assert.Fail($"{what} was not reached");
            }
            await page.GotoAsync("/");
            await TabTo("Skip to the content");
            await page.Keyboard.PressAsync("Enter");
            Assert.Equal("content", await page.EvaluateAsync<string>("() => document.activeElement.id"));
            await page.GotoAsync("/");
            await TabTo("Knobs");
            await page.Keyboard.PressAsync("Enter");
            await tab.See("h1", "Knobs");
            async Task Turn(string value, string reason)
            {
                await TabTo("New value");
                await page.Keyboard.PressAsync("Control+A");
                await page.Keyboard.TypeAsync(value);
                await TabTo("Reason");
                await page.Keyboard.TypeAsync(reason);
                await TabTo("For");
                await TabTo("Turn arbitration");
                await page.Keyboard.PressAsync("Enter");
            }
            await Turn("1.5", "scanner 3 is noisy");
            await tab.See(".knob .outcome", "arbitration is at 1.5 now");
            await tab.See(".knob dl", "local: scanner 3 is noisy");
            Assert.Empty(tab.Complaints);
            // The keyboard goes on at the knob; out of bounds is told there.
            await Turn("7", "more");
            await tab.See(".knob .outcome", "the policy allows 0 to 2, found 7");
            await Turn("1", "");
            await tab.See(".knob .outcome", "a reason of 1 to 500 characters");
            await page.GotoAsync("/pages/audit");
            await tab.See("table", "arbitration: 1 → 1.5, scanner 3 is noisy");
        }
        var knob = Assert.Single(AuditReader.Records(Path.Combine(state, "audit")), record => record.Json["kind"]!.ToString() == "knob");
        Assert.Equal("1 1.5 local", $"{knob.Json["old"]} {knob.Json["new"]} {knob.Json["caller"]}");
    }

    /// <summary>With keys: a login, and each role sees what it may.</summary>
    [BrowserFact]
    public async Task EachRole_SeesWhatItMay()
    {
        var keys = _temp.File("keys.json");
        var (infer, turn, audit) = (KeyRing.Add(keys, "app", Role.Infer), KeyRing.Add(keys, "night shift", Role.Operator),
            KeyRing.Add(keys, "auditor", Role.Audit));
        await using var server = await Start(keys: keys);
        foreach (var (key, expected) in new[]
        {
            (infer, "Playground"), (turn, "Overview Decisions Alerts Knobs Playground"), (audit, "Overview Decisions Alerts Knobs Audit"),
        })
        {
            await using var tab = await browser.Open(server.Client.BaseAddress!.ToString(), 390, dark: true);
            var page = tab.Page;
            await page.GotoAsync("/pages/knobs");
            await tab.See("h1", "Log in");
            Assert.Empty(await Readable.Faults(page));
            await page.FillAsync("#key", "ask-wrong");
            await page.Keyboard.PressAsync("Enter");
            await tab.See(".outcome", "no such key");
            await page.FillAsync("#key", key);
            await page.Keyboard.PressAsync("Enter");
            await tab.See(".leave", "Log out");
            await page.GotoAsync("/");
            Assert.Equal(expected, string.Join(' ', await page.Locator(".bar nav a").AllInnerTextsAsync()));
            await page.GotoAsync("/pages/knobs");
            await tab.See("main", key == infer ? "a key of the role infer does not open Knobs" : key == audit ? "A key of the role operator"
                : "Turn arbitration");
            Assert.Empty(await Readable.Faults(page));
            var cookie = Assert.Single(await page.Context.CookiesAsync());
            Assert.True(cookie.HttpOnly && cookie.SameSite == SameSiteAttribute.Strict);
            Assert.DoesNotContain(key, cookie.Value, StringComparison.Ordinal);
            await page.ClickAsync("text=Log out");
            await tab.See("h1", "Log in");
            await page.GotoAsync("/");
            await tab.See("h1", "Log in");
        }
    }

    private Task<RunningServer> Start(string? state = null, string? keys = null)
    {
        var policy = MadeUp.WritePolicy(_temp);
        return RunningServer.Start(options => options with { Policy = policy, State = state ?? options.State, Keys = keys });
    }

    public void Dispose() => _temp.Dispose();
}
