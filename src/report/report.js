const controls = document.querySelector('.controls');
const gallery = document.querySelector('.gallery');
const cards = gallery ? [...gallery.children] : [];

function arrange() {
  const { sort, least, words } = controls.elements;
  const value = card => Number(card.dataset[sort.value]);
  const up = sort.value === 'order';
  const threshold = up ? -Infinity : Math.max(...cards.map(value)) * least.value / 100;
  least.disabled = up;
  const wanted = words.value.toLowerCase().split(/\s+/).filter(Boolean);
  let shown = 0;
  for (const card of cards) {
    const text = [...card.querySelectorAll('.said')].map(said => said.textContent.toLowerCase()).join(' ');
    card.hidden = value(card) < threshold || !wanted.every(word => text.includes(word));
    shown += card.hidden ? 0 : 1;
  }
  cards.sort((a, b) => up ? value(a) - value(b) : value(b) - value(a) || a.dataset.order - b.dataset.order);
  gallery.append(...cards);
  controls.querySelector('output').textContent = shown + ' of ' + cards.length + ' pictures';
}

if (controls) {
  controls.addEventListener('input', arrange);
  controls.addEventListener('submit', event => event.preventDefault());
}
for (const box of document.querySelectorAll('.legend input')) {
  box.addEventListener('input', () => {
    const run = box.dataset.run;
    const marked = document.querySelectorAll('polyline.run-' + run + ', .caption[data-run="' + run + '"]');
    for (const element of marked) element.toggleAttribute('hidden', !box.checked);
  });
}
if (controls) arrange();
