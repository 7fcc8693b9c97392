// The part of Google Charts that TFMA's view asks for, without Google: TFMA loads charts from the network unless they are
// there already. Tables, columns, lines and bubbles, as plain HTML and SVG. Text from data is only ever set as text.
(function () {
  'use strict';
  const SVG = 'http://www.w3.org/2000/svg';
  const COLOURS = ['#1a56c4', '#c4421a', '#2e7d32', '#6a1b9a', '#00838f', '#ad8b00'];
  const listeners = new WeakMap();

  const events = {
    addListener(source, name, call) {
      if (!listeners.has(source)) listeners.set(source, []);
      const entry = { name, call };
      listeners.get(source).push(entry);
      return { source, entry };
    },
    addOneTimeListener(source, name, call) {
      const handle = events.addListener(source, name, (event) => { events.removeListener(handle); call(event); });
      return handle;
    },
    removeListener(handle) {
      const all = listeners.get(handle.source) || [];
      const place = all.indexOf(handle.entry);
      if (place >= 0) all.splice(place, 1);
    },
    trigger(source, name, event) {
      (listeners.get(source) || []).slice().forEach((entry) => { if (entry.name === name) entry.call(event || {}); });
    },
  };

  const cell = (value) => (value !== null && typeof value === 'object' && ('v' in value || 'f' in value)
    ? { v: value.v, f: value.f === undefined ? undefined : String(value.f) } : { v: value });

  class DataTable {
    constructor(data) {
      this.labels = ((data && data.cols) || []).map((column) => (column.label || column.id || ''));
      this.rows = ((data && data.rows) || []).map((row) => (row.c || row).map(cell));
    }
    getNumberOfRows() { return this.rows.length; }
    getNumberOfColumns() { return this.labels.length; }
    getColumnLabel(column) { return this.labels[column]; }
    getValue(row, column) { const found = this.rows[row][column]; return found ? found.v : null; }
    getFormattedValue(row, column) {
      const found = this.rows[row][column] || {};
      return found.f !== undefined ? found.f : (found.v === null || found.v === undefined ? '' : String(found.v));
    }
    sort(order) { this.rows = sorted(this, order[0].column, order[0].desc).map((index) => this.rows[index]); }
  }

  function arrayToDataTable(rows) {
    const table = new DataTable();
    table.labels = (rows[0] || []).map((label) => String(label && label.label !== undefined ? label.label : label));
    table.rows = rows.slice(1).map((row) => row.map(cell));
    return table;
  }

  // Columns that are worked out (annotations) are left out: the charts here draw none.
  class DataView {
    constructor(table) { this.table = table; this.columns = table.labels.map((_, index) => index); }
    setColumns(columns) { this.columns = columns.filter((column) => typeof column === 'number'); }
    getNumberOfRows() { return this.table.getNumberOfRows(); }
    getNumberOfColumns() { return this.columns.length; }
    getColumnLabel(column) { return this.table.getColumnLabel(this.columns[column]); }
    getValue(row, column) { return this.table.getValue(row, this.columns[column]); }
    getFormattedValue(row, column) { return this.table.getFormattedValue(row, this.columns[column]); }
  }

  function sorted(table, column, descending) {
    const order = Array.from({ length: table.getNumberOfRows() }, (_, index) => index);
    const number = (value) => (typeof value === 'number' ? value : Number(value));
    order.sort((a, b) => {
      const x = table.getValue(a, column), y = table.getValue(b, column);
      const both = Number.isFinite(number(x)) && Number.isFinite(number(y));
      return (both ? number(x) - number(y) : String(x).localeCompare(String(y))) || a - b;
    });
    return descending ? order.reverse() : order;
  }

  function element(name, attributes, text) {
    const made = document.createElementNS(SVG, name);
    Object.keys(attributes || {}).forEach((key) => made.setAttribute(key, attributes[key]));
    if (text !== undefined) made.textContent = text;
    return made;
  }

  // TFMA hands over its own elements as HTML: one element named tfma-*, its attributes. All else is text.
  function fill(place, text) {
    if (/^<tfma-[a-z0-9-]+[\s>]/.test(text)) {
      const parsed = new DOMParser().parseFromString(text, 'text/html').body;
      const given = parsed.firstElementChild;
      if (parsed.children.length === 1 && given && given.localName.startsWith('tfma-') && !given.children.length) {
        const made = document.createElement(given.localName);
        for (const attribute of given.attributes) {
          if (/^(data|value|lower-bound|upper-bound)$/.test(attribute.name)) made.setAttribute(attribute.name, attribute.value);
        }
        place.appendChild(made);
        return;
      }
    }
    place.textContent = text;
  }

  class Chart {
    constructor(container) { this.container = container; this.selection = []; }
    getSelection() { return this.selection; }
    setSelection(selection) { this.selection = selection || []; this.show(); }
    show() {}
    draw(table, options) {
      this.table = table;
      this.options = options || {};
      this.container.textContent = '';
      if (table && table.getNumberOfColumns()) this.render();
      this.show();
      events.trigger(this, 'ready');
    }
    select(row) {
      this.selection = this.selection.length && this.selection[0].row === row ? [] : [{ row, column: 1 }];
      this.show();
      events.trigger(this, 'select');
    }
  }

  class Table extends Chart {
    render() {
      this.size = this.options.page === 'enable' ? this.options.pageSize || 20 : Infinity;
      this.page = 0;
      this.order = null;
      this.by = null;
      const table = document.createElement('table');
      table.className = 'google-visualization-table-table';
      table.style.cssText = 'border-collapse: collapse; width: 100%; background: white;';
      const head = table.createTHead().insertRow();
      for (let column = 0; column < this.table.getNumberOfColumns(); column += 1) {
        const title = document.createElement('th');
        title.textContent = this.table.getColumnLabel(column);
        title.style.cssText = 'cursor: pointer; text-align: left; padding: 6px 8px; border-bottom: 1px solid #999;';
        title.tabIndex = 0;
        title.addEventListener('click', () => this.sort(column));
        title.addEventListener('keydown', (event) => { if (event.key === 'Enter') this.sort(column); });
        head.appendChild(title);
      }
      this.body = table.createTBody();
      this.container.appendChild(table);
      this.pager = document.createElement('div');
      this.pager.style.cssText = 'padding: 6px 8px;';
      this.container.appendChild(this.pager);
      this.rows();
    }
    sort(column) {
      const ascending = !(this.by && this.by.column === column && this.by.ascending);
      this.by = { column, ascending };
      this.order = sorted(this.table, column, !ascending);
      this.page = 0;
      this.rows();
      events.trigger(this, 'sort', { column, ascending, sortedIndexes: this.order });
    }
    turn(by) {
      this.page += by;
      this.rows();
      events.trigger(this, 'page', { page: this.page });
    }
    rows() {
      const count = this.table.getNumberOfRows(), pages = Math.max(1, Math.ceil(count / this.size));
      const first = this.page * this.size || 0, last = Math.min(first + this.size, count);
      this.body.textContent = '';
      for (let place = first; place < last; place += 1) {
        const index = this.order ? this.order[place] : place;
        const row = this.body.insertRow();
        row.dataset.row = index;
        row.addEventListener('click', () => this.select(index));
        for (let column = 0; column < this.table.getNumberOfColumns(); column += 1) {
          const made = row.insertCell();
          made.style.cssText = 'padding: 4px 8px; border-bottom: 1px solid #e0e0e0;';
          fill(made, this.table.getFormattedValue(index, column));
        }
      }
      this.pager.textContent = '';
      if (pages > 1) {
        const button = (text, by, off) => {
          const made = document.createElement('button');
          made.type = 'button';
          made.textContent = text;
          made.disabled = off;
          made.addEventListener('click', () => this.turn(by));
          this.pager.appendChild(made);
        };
        button('Previous', -1, this.page === 0);
        this.pager.appendChild(document.createTextNode(` ${first + 1} to ${last} of ${count} `));
        button('Next', 1, this.page >= pages - 1);
      }
      this.show();
    }
    show() {
      if (!this.body) return;
      const chosen = new Set(this.selection.map((item) => String(item.row)));
      for (const row of this.body.rows) row.style.background = chosen.has(row.dataset.row) ? '#dbe7ff' : '';
    }
  }

  // Axes, and what is drawn between them.
  class Plot extends Chart {
    frame(x, y, height) {
      const width = Math.max(this.options.width || this.container.clientWidth || 680, 300);
      this.width = width;
      this.height = this.options.height || height;
      this.svg = element('svg', { width, height: this.height, role: 'img', 'font-size': 11, 'font-family': 'sans-serif' });
      this.container.appendChild(this.svg);
      const left = 56, right = 16, top = 30, bottom = 34;
      const span = ([low, high]) => (high > low ? high - low : 1);
      this.x = (value) => left + ((value - x[0]) / span(x)) * (width - left - right);
      this.y = (value) => this.height - bottom - ((value - y[0]) / span(y)) * (this.height - top - bottom);
      for (let tick = 0; tick <= 4; tick += 1) {
        const value = y[0] + (span(y) * tick) / 4, place = this.y(value);
        this.svg.appendChild(element('line', { x1: left, x2: width - right, y1: place, y2: place, stroke: '#e0e0e0' }));
        this.svg.appendChild(element('text', { x: left - 6, y: place + 4, 'text-anchor': 'end' }, shown(value)));
      }
      const titles = [[this.options.title, left, 14], [title(this.options.hAxis), width / 2, this.height - 6]];
      titles.push([title(this.options.vAxis), left, this.options.title ? 27 : 14]);
      titles.forEach(([text, tx, ty]) => { if (text) this.svg.appendChild(element('text', { x: tx, y: ty }, text)); });
    }
    ticks(x) {
      for (let tick = 0; tick <= 4; tick += 1) {
        const value = x[0] + ((x[1] - x[0]) * tick) / 4;
        this.svg.appendChild(element('text', { x: this.x(value), y: this.height - 20, 'text-anchor': 'middle' }, shown(value)));
      }
    }
    legend(first) {
      let place = this.width - 20;
      for (let column = this.table.getNumberOfColumns() - 1; column >= first; column -= 1) {
        const text = this.table.getColumnLabel(column), colour = COLOURS[(column - first) % COLOURS.length];
        this.svg.appendChild(element('text', { x: place, y: 14, 'text-anchor': 'end', fill: colour }, text));
        place -= 7 * text.length + 24;
      }
    }
    number(row, column) {
      const value = this.table.getValue(row, column);
      return value === null || value === undefined ? NaN : Number(value);
    }
    range(columns, withZero) {
      let low = withZero ? 0 : Infinity, high = withZero ? 0 : -Infinity;
      for (let row = 0; row < this.table.getNumberOfRows(); row += 1) {
        columns.forEach((column) => {
          const value = this.number(row, column);
          if (Number.isFinite(value)) { low = Math.min(low, value); high = Math.max(high, value); }
        });
      }
      return low <= high ? [low, high] : [0, 1];
    }
    mark(shape, row, text, place) {
      shape.appendChild(element('title', {}, text));
      if (this.options.enableInteractivity !== false) shape.addEventListener('click', () => this.select(row));
      shape.dataset.row = row;
      (place || this.svg).appendChild(shape);
    }
    show() {
      if (!this.svg) return;
      const chosen = new Set(this.selection.map((item) => String(item.row)));
      this.svg.querySelectorAll('[data-row]').forEach((shape) => {
        shape.setAttribute('stroke', chosen.has(shape.dataset.row) ? '#000' : 'none');
      });
    }
  }

  class ColumnChart extends Plot {
    render() {
      const count = this.table.getNumberOfRows(), series = this.table.getNumberOfColumns() - 1;
      const columns = Array.from({ length: series }, (_, index) => index + 1);
      // Series of different size (slices, and their weight) have a scale each, as TFMA asks for.
      const own = this.options.series && Object.keys(this.options.series).length > 1;
      const ranges = columns.map((column) => this.range(own ? [column] : columns, true));
      this.frame([0, Math.max(count, 1)], ranges[0] || [0, 1], 200);
      this.legend(1);
      // TFMA looks for the bars where Google Charts has them: in the second group of the first clipped one; their labels
      // in the third group after that.
      const clipped = element('g', { 'clip-path': 'none' }), bars = element('g'), labels = element('g');
      clipped.append(element('g'), bars);
      this.svg.append(clipped, element('g'), element('g'), labels);
      for (let row = 0; row < count; row += 1) {
        columns.forEach((column, index) => {
          const value = this.number(row, column);
          labels.appendChild(element('g'));
          if (!Number.isFinite(value)) { bars.appendChild(element('g')); return; }
          const [low, high] = ranges[index], scale = (ranges[0][1] - ranges[0][0] || 1) / (high - low || 1);
          const top = this.y(ranges[0][0] + (value - low) * scale), zero = this.y(0);
          const width = ((this.x(1) - this.x(0)) * 0.8) / series;
          const shape = element('rect', {
            x: this.x(row + 0.1) + index * width, width, y: Math.min(top, zero), height: Math.max(Math.abs(zero - top), 0.5),
            fill: COLOURS[index % COLOURS.length],
          });
          this.mark(shape, row, `${this.table.getFormattedValue(row, 0)}: ${shown(value)}`, bars);
        });
      }
    }
  }

  class LineChart extends Plot {
    render() {
      const count = this.table.getNumberOfRows();
      const columns = Array.from({ length: this.table.getNumberOfColumns() - 1 }, (_, index) => index + 1);
      const x = this.range([0]);
      this.frame(x, this.range(columns), 300);
      this.ticks(x);
      this.legend(1);
      columns.forEach((column, index) => {
        const points = [];
        for (let row = 0; row < count; row += 1) {
          const value = this.number(row, column);
          if (Number.isFinite(value)) points.push(`${this.x(this.number(row, 0))},${this.y(value)}`);
        }
        const colour = COLOURS[index % COLOURS.length];
        this.svg.appendChild(element('polyline', { points: points.join(' '), fill: 'none', stroke: colour }));
      });
    }
  }

  // Columns: name, x, y, colour, size.
  class BubbleChart extends Plot {
    render() {
      const fixed = (axis, column) => {
        const view = axis && axis.viewWindow;
        return view && view.min !== undefined ? [view.min, view.max] : this.range([column]);
      };
      const x = fixed(this.options.hAxis, 1), y = fixed(this.options.vAxis, 2), size = this.range([4]);
      this.frame(x, y, 300);
      this.ticks(x);
      for (let row = 0; row < this.table.getNumberOfRows(); row += 1) {
        const share = (this.number(row, 4) - size[0]) / (size[1] - size[0] || 1);
        const shape = element('circle', {
          cx: this.x(this.number(row, 1)), cy: this.y(this.number(row, 2)), r: 3 + 9 * (Number.isFinite(share) ? share : 0),
          fill: COLOURS[0], 'fill-opacity': 0.7,
        });
        this.mark(shape, row, [1, 2].map((c) => `${this.table.getColumnLabel(c)}: ${shown(this.number(row, c))}`).join('\n'));
      }
    }
  }

  const title = (axis) => (axis && axis.title) || '';
  const shown = (value) => (Math.abs(value) >= 100 || Number.isInteger(value) ? String(Math.round(value)) : value.toPrecision(3));
  const TYPES = { Table, ColumnChart, LineChart, ComboChart: LineChart, BubbleChart };

  class ChartWrapper {
    constructor(settings) { this.container = settings.container; }
    setChartType(type) { if (type !== this.type) { this.type = type; this.chart = null; } }
    getChart() { return this.chart; }
    setDataTable(table) { this.table = table; }
    setOptions(options) { this.options = options; }
    draw() {
      if (!this.table) return;
      if (!this.chart) {
        if (!TYPES[this.type]) throw new Error(`no chart of type ${this.type} in this page`);
        this.chart = new TYPES[this.type](this.container);
        events.addListener(this.chart, 'ready', () => events.trigger(this, 'ready'));
        events.addListener(this.chart, 'select', () => events.trigger(this, 'select'));
      }
      this.chart.draw(this.table, this.options);
    }
  }

  window.polymerSkipLoadingFontRoboto = true;
  window.google = {
    charts: { load: () => Promise.resolve() },
    visualization: { DataTable, DataView, arrayToDataTable, events, ChartWrapper, ...TYPES },
  };
}());
