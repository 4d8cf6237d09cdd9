// Show the page again in the time zone of this device, unless the server knows it.
(() => {
  const { cookie, known } = document.querySelector('meta[name="time-zone"]').dataset
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone
  const kept = `${cookie}=${zone}`
  const isKept = () => document.cookie.split("; ").includes(kept)
  // A cookie that is still there was not taken over: loading again would not help.
  if (!zone || zone === known || isKept()) return
  const secure = location.protocol === "https:" ? "; Secure" : ""
  document.cookie = `${kept}; Path=/; Max-Age=600; SameSite=Lax${secure}`
  if (isKept()) location.reload()
})()
