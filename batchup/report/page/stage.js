// <zoom-stage>: every element in it with the class "zooms" is shown at the same zoom and the same place.
const MOST = 32;

class ZoomStage extends HTMLElement {
  #scale = 1;
  #x = 0; // of the middle, in widths of a pane, at the present zoom
  #y = 0;
  #pointers = new Map();

  connectedCallback() {
    this.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
    this.addEventListener("pointerdown", (event) => this.#down(event));
    this.addEventListener("pointermove", (event) => this.#move(event));
    for (const end of ["pointerup", "pointercancel"]) {
      this.addEventListener(end, (event) => this.#pointers.delete(event.pointerId));
    }
    this.addEventListener("dblclick", (event) => this.zoomTo(this.#scale > 1 ? 1 : 3, event));
  }

  get scale() {
    return this.#scale;
  }

  // Zoom to `scale`, keeping what lies under the pointer, or in the middle, where it is.
  zoomTo(scale, point = null) {
    const next = Math.min(MOST, Math.max(1, scale));
    const [cx, cy] = point ? this.#within(point) : [0, 0];
    const by = next / this.#scale;
    this.#x = cx - (cx - this.#x) * by;
    this.#y = cy - (cy - this.#y) * by;
    this.#scale = next;
    this.#show();
  }

  pan(dx, dy) {
    this.#x += dx;
    this.#y += dy;
    this.#show();
  }

  fit() {
    this.zoomTo(1);
  }

  #show() {
    const reach = (this.#scale - 1) / 2;
    this.#x = Math.min(reach, Math.max(-reach, this.#x));
    this.#y = Math.min(reach, Math.max(-reach, this.#y));
    this.style.setProperty("--zoom", this.#scale);
    this.style.setProperty("--pan-x", `${this.#x * 100}%`);
    this.style.setProperty("--pan-y", `${this.#y * 100}%`);
    this.classList.toggle("zoomed", this.#scale > 1);
    // Where there is something to pan, dragging pans, and the slider has its handle.
    for (const slider of this.querySelectorAll("img-comparison-slider")) slider.handle = this.#scale > 1;
    this.dispatchEvent(new Event("zoom"));
  }

  #pane(event) {
    return event.target.closest?.(".pane") ?? this.querySelector(".pane") ?? this;
  }

  #within(event) {
    const box = this.#pane(event).getBoundingClientRect();
    return [(event.clientX - box.left) / box.width - 0.5, (event.clientY - box.top) / box.height - 0.5];
  }

  #wheel(event) {
    event.preventDefault();
    this.zoomTo(this.#scale * Math.exp(-event.deltaY * (event.ctrlKey ? 0.01 : 0.0015)), event);
  }

  #down(event) {
    if (event.button || this.#onHandle(event)) return;
    this.#pointers.set(event.pointerId, event);
  }

  #onHandle(event) {
    const handle = event.target.closest?.("img-comparison-slider")?.shadowRoot.getElementById("handle");
    if (!handle) return false;
    const box = handle.getBoundingClientRect();
    return event.clientX >= box.left && event.clientX <= box.right && event.clientY >= box.top && event.clientY <= box.bottom;
  }

  #move(event) {
    const before = this.#pointers.get(event.pointerId);
    if (!before) return;
    const box = this.#pane(before).getBoundingClientRect();
    const other = [...this.#pointers.values()].find((one) => one.pointerId !== event.pointerId);
    if (other) {
      const far = (a) => Math.hypot(a.clientX - other.clientX, a.clientY - other.clientY);
      this.zoomTo((this.#scale * far(event)) / Math.max(1, far(before)), other);
    } else if (this.#scale > 1) {
      this.pan((event.clientX - before.clientX) / box.width, (event.clientY - before.clientY) / box.height);
    }
    this.#pointers.set(event.pointerId, event);
  }
}

customElements.define("zoom-stage", ZoomStage);
