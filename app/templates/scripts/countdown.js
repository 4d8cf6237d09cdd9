// Keep the time left current, and show links that wait for their time.
(() => {
  const page = document.querySelector("[data-now]")
  // By the server's clock: that of this device may be wrong.
  const offset = Date.parse(page.dataset.now) - Date.now()
  const words = ms => {
    const minutes = Math.floor(Math.abs(ms) / 60000)
    const parts = [[Math.floor(minutes / 60), "hour"], [minutes % 60, "minute"]]
    const named = parts.filter(([n]) => n).map(([n, unit]) => `${n} ${unit}${n === 1 ? "" : "s"}`)
    return named.join(" ") || "less than a minute"
  }
  const show = () => {
    const now = Date.now() + offset
    for (const each of document.querySelectorAll("[data-until]")) {
      const { until, word } = each.dataset, left = Date.parse(until) - now
      if (each.localName === "progress") each.value = Math.max(left / 1000, 0)
      else each.textContent = `${words(left)} ${left < 0 && word === "left" ? "over" : word}`.trim()
    }
    for (const each of document.querySelectorAll("[data-from]")) {
      const { from, to } = each.dataset
      each.hidden = now < Date.parse(from) || now >= Date.parse(to)
    }
  }
  // What has ended is told by the server.
  const hasEnded = () => [...document.querySelectorAll("progress[data-until]")].some(bar => !bar.value)
  show()
  setInterval(() => {
    show()
    if ("reload" in page.dataset && hasEnded()) location.reload()
  }, 15000)
  document.addEventListener("visibilitychange", show)
})()
