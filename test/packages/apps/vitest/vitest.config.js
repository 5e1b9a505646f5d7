// Nothing set up, and nothing looked for further up.
export default {}
