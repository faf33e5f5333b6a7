using Microsoft.Playwright;

namespace AnchorScope.Tests.Server.Pages;

/// <summary>What makes a page usable for everybody, as far as a program can tell.</summary>
internal static class Readable
{
    private const string Rules = """
        () => {
          const found = [];
          const name = e => e.tagName.toLowerCase() + (e.id ? '#' + e.id : '') + (e.className.baseVal ?? e.className ? '.' + (e.className.baseVal ?? e.className) : '');
          const over = document.documentElement.scrollWidth - innerWidth;
          if (over > 0) found.push(`the page is ${over} pixels wider than the screen`);
          for (const e of document.querySelectorAll('input:not([type=hidden]), select, textarea')) {
            if (e.labels.length === 0 && !e.getAttribute('aria-label')) found.push(`${name(e)} has no label`);
            const described = e.getAttribute('aria-describedby');
            if (described && !document.getElementById(described)) found.push(`${name(e)}: there is no ${described}`);
          }
          for (const e of document.querySelectorAll('img')) if (!e.getAttribute('alt')) found.push(`${name(e)} ${e.src.slice(0, 60)} has no alt`);
          for (const e of document.querySelectorAll('svg')) {
            if (!e.closest('[aria-hidden=true]') && !e.parentElement.closest('svg') && !(e.getAttribute('role') === 'img' && e.getAttribute('aria-label')))
              found.push(`a figure has no description`);
          }
          for (const e of document.querySelectorAll('button, a')) if (!e.textContent.trim() && !e.querySelector('img[alt]')) found.push(`${name(e)} has no text`);
          const ids = [...document.querySelectorAll('[id]')].map(e => e.id);
          for (const id of new Set(ids)) if (ids.filter(other => other === id).length > 1) found.push(`the id ${id} is there twice`);
          let level = 0;
          const headings = [...document.querySelectorAll('h1, h2, h3, h4')];
          if (headings.filter(e => e.tagName === 'H1').length !== 1) found.push('a page has one h1');
          for (const e of headings) {
            const now = Number(e.tagName[1]);
            if (now > level + 1) found.push(`heading ${e.textContent} of level ${now} after level ${level}`);
            level = now;
          }
          if (document.querySelectorAll('main').length !== 1) found.push('a page has one main');
          if (document.documentElement.lang !== 'en') found.push('the page does not say its language');

          const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
          const rgba = colour => {
            canvas.clearRect(0, 0, 1, 1);
            canvas.fillStyle = colour;
            canvas.fillRect(0, 0, 1, 1);
            const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
            return [r, g, b, a / 255];
          };
          const luminance = ([r, g, b]) => [r, g, b].map(c => c / 255).map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
            .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
          const behind = e => {
            for (let at = e; at; at = at.parentElement) {
              const colour = rgba(getComputedStyle(at).backgroundColor);
              if (colour[3] === 1) return colour;
              if (colour[3] > 0) found.push(`${name(at)}: a half transparent background`);
            }
            return [255, 255, 255, 1];
          };
          const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
          let checked = 0;
          while (walk.nextNode()) {
            const e = walk.currentNode.parentElement;
            if (!walk.currentNode.textContent.trim() || !e.checkVisibility() || ['SCRIPT', 'STYLE', 'TITLE', 'title', 'OPTION'].includes(e.tagName)) continue;
            const style = getComputedStyle(e), back = behind(e);
            const fore = rgba(e.closest('svg') ? style.fill : style.color);
            const [light, dark] = [luminance(fore), luminance(back)].sort((a, b) => b - a);
            const contrast = (light + 0.05) / (dark + 0.05);
            checked++;
            if (contrast < 4.5) found.push(`"${walk.currentNode.textContent.trim().slice(0, 30)}" in ${name(e)} has a contrast of ${contrast.toFixed(2)}`);
          }
          if (checked < 5) found.push(`only ${checked} texts were checked`);
          return [...new Set(found)];
        }
        """;

    /// <summary>What is wrong with the page as it is now.</summary>
    public static async Task<string[]> Faults(IPage page) => await page.EvaluateAsync<string[]>(Rules);
}
