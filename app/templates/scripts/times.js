// Days of the week that is on the page are shown at once; arrow keys move in the month.
(() => {
  const days = [...document.querySelectorAll(".month-days button")]
  if (!days.length) return
  const shown = day => document.querySelector(`.day[data-day="${day.value}"]`)
  const reach = day => days.forEach(each => { each.tabIndex = each === day ? 0 : -1 })

  function show(day) {
    for (const each of days) {
      const here = each === day
      shown(each)?.classList.toggle("day-first", here)
      if (here) each.setAttribute("aria-current", "date")
      else each.removeAttribute("aria-current")
      each.classList.toggle("is-shown", !here && shown(each) !== null)
    }
    shown(day).querySelector("legend").focus()
  }

  // One stop for the Tab key, as in any calendar.
  reach(days.find(day => day.hasAttribute("aria-current")) ?? days[0])
  const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -7, ArrowDown: 7 }
  for (const day of days) {
    day.addEventListener("click", event => {
      if (!shown(day)) return
      event.preventDefault()
      reach(day)
      show(day)
    })
    day.addEventListener("keydown", event => {
      const step = steps[event.key]
      if (!step) return
      event.preventDefault()
      const wanted = new Date(day.value).getTime() + step * 86400000
      const ahead = days.filter(each => (new Date(each.value) - new Date(day.value)) * step > 0)
      const distance = each => Math.abs(new Date(each.value) - wanted)
      const next = ahead.sort((one, other) => distance(one) - distance(other))[0]
      if (!next) return
      reach(next)
      next.focus()
    })
  }

  const picked = document.getElementById("picked")
  document.addEventListener("change", event => {
    if (!picked || event.target.name !== "starts_at") return
    const { dataset, firstElementChild: legend } = event.target.closest("fieldset")
    const choice = document.createElement("strong")
    choice.textContent = (dataset.day ? `${legend.textContent}, ` : "") + event.target.parentElement.textContent
    picked.replaceChildren("Your choice: ", choice)
  })
})()
