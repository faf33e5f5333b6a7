// What the pages do beyond links and forms, which work without this too.
(() => {
  'use strict';

  // A part that is written again keeps its folded tables as the reader left them.
  const opened = new Set();
  document.addEventListener('toggle', event => {
    if (event.target.id) opened[event.target.open ? 'add' : 'delete'](event.target.id);
  }, true);
  document.addEventListener('htmx:after:swap', () => {
    for (const id of opened) document.getElementById(id)?.setAttribute('open', '');
  });

  // The page says when it is no longer live.
  const stale = isStale => {
    const note = document.getElementById('stale');
    if (note) note.hidden = !isStale;
  };
  document.addEventListener('htmx:sse:error', () => stale(true));
  document.addEventListener('htmx:sse:close', () => stale(true));
  document.addEventListener('htmx:sse:after:connection', () => stale(false));

  // After an answer or a turned knob the keyboard goes on there.
  document.addEventListener('htmx:after:swap', event => {
    const form = event.target.closest?.('form') ?? event.detail?.ctx?.sourceElement;
    const id = form?.getAttribute('hx-target');
    if (!id || id === '#live') return;
    const target = document.querySelector(id);
    target?.focus({ preventScroll: true });
    const box = target?.getBoundingClientRect();
    if (box && (box.top < 0 || box.top > innerHeight - 120)) target.scrollIntoView({ block: 'start' });
  });

  const drop = document.getElementById('drop');
  if (!drop) return;
  const picture = document.getElementById('picture');
  const preview = document.getElementById('preview');

  const show = () => {
    const file = picture.files[0];
    if (!file) return;
    const reader = new FileReader();
    reader.onload = () => {
      preview.src = reader.result;
      preview.alt = file.name;
    };
    reader.readAsDataURL(file);
  };
  picture.addEventListener('change', show);

  for (const name of ['dragenter', 'dragover', 'dragleave', 'drop']) {
    drop.addEventListener(name, event => {
      event.preventDefault();
      drop.classList.toggle('over', name === 'dragenter' || name === 'dragover');
      if (name !== 'drop' || event.dataTransfer.files.length === 0) return;
      picture.files = event.dataTransfer.files;
      show();
    });
  }
})();
