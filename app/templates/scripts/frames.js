// Make each frame as high as the email in it, so that the page scrolls and the frame does not.
(() => {
  const fit = frame => {
    const page = frame.contentDocument?.documentElement
    if (!page) return
    frame.style.height = 0
    frame.style.height = `${page.scrollHeight + 2}px`
  }
  const frames = document.querySelectorAll("iframe")
  for (const frame of frames) {
    frame.addEventListener("load", () => fit(frame))
    fit(frame)
  }
  addEventListener("resize", () => frames.forEach(fit))
})()
